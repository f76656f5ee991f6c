"""What the panel tells anybody: settings, languages, its own document (sections 2.8 and 11)."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from provisioning.sandbox.calagopus.calling import Call, Endpoints, success
from provisioning.sandbox.calagopus.errors import bad
from provisioning.sandbox.calagopus.schema import Struct, anything, free, needed, text
from provisioning.sandbox.calagopus.serializers import user as user_shown
from provisioning.sandbox.calagopus.validation import LANGUAGES
from provisioning.sandbox.calagopus.world import shown_time
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("public", "/api")
DOCUMENT = Endpoints("public", "/")
OPENAPI = Path(__file__).with_name("openapi.json.gz")
SETTINGS: dict[str, object] = {
    "captcha_provider": {"type": "none"},
    "app": {
        "url": "http://localhost:8000",
        "icon": "/icon.svg",
        "icon_light": None,
        "banner": None,
        "banner_light": None,
        "name": "Calagopus",
        "language": "en",
        "registration_enabled": True,
        "debug": False,
    },
    "webauthn": {"enabled": True, "allow_discoverable": True},
    "server": {
        "max_file_manager_view_size": 10485760,
        "max_file_manager_content_search_size": 5242880,
        "max_file_manager_search_results": 100,
        "max_subuser_count": 25,
        "max_schedule_step_count": 50,
        "max_backup_group_count": 10,
        "max_database_instance_database_count": 10,
        "max_database_instance_user_count": 10,
        "allow_overwriting_custom_docker_image": True,
        "allow_acknowledging_installation_failure": True,
        "container_prelude": "container@calagopus~",
    },
    "user": {
        "max_server_group_count": 25,
        "max_api_key_count": 50,
        "max_command_snippet_count": 100,
        "max_security_key_count": 50,
        "max_ssh_key_count": 50,
        "allow_changing_language": True,
        "route_order": None,
    },
}
LOGIN = Struct("Payload", needed("user", text), needed("password", text), free("captcha", anything))


@cache
def openapi_bytes() -> bytes:
    """The panel's own OpenAPI document, as the real 1.1.4 serves it."""
    return gzip.decompress(OPENAPI.read_bytes())


def openapi_document() -> dict[str, Any]:
    """The document, parsed; each caller gets a copy."""
    document: dict[str, Any] = json.loads(openapi_bytes())
    return document


@ENDPOINTS.on("GET", "/settings")
def settings_show(call: Call) -> Response:
    """Name, language and limits of the panel; one without nodes is not set up yet."""
    step = None if call.state.nodes else "register"
    return success({"time": shown_time(call.world.time()), "oobe_step": step, **SETTINGS})


@ENDPOINTS.on("GET", "/languages")
def languages_list(_: Call) -> Response:
    """The only languages that users can have."""
    return success({"languages": list(LANGUAGES)})


@DOCUMENT.on("GET", "openapi.json")
def openapi_show(_: Call) -> Response:
    """The panel's document, also without a key."""
    return Response(body=openapi_bytes())


@ENDPOINTS.on("POST", "/auth/login", struct=LOGIN)
def login(call: Call) -> Response:
    """Sign in by name or e-mail; the sandbox begins no session."""
    name, password = str(call.body["user"]).lower(), call.body["password"]
    users = call.state.users.values()
    found = next((u for u in users if name in (u.email.lower(), u.username.lower())), None)
    if found is None or found.password is None or found.password != password:
        raise bad("invalid username or password")
    return success({"type": "completed", "user": user_shown(call.state, found, own=True)})


ENDPOINTS.routes += DOCUMENT.routes
