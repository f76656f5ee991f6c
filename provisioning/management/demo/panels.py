"""The panels that the demo can play on: how the story reads each, and what its products are made of there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests

TIMEOUT = 10
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class DemoPanel:
    """One kind of panel. Its rows come out with the keys that the story reads, whatever the panel's are."""

    driver: str
    version: str
    key_start: str
    creates: str
    """The path of a create on a node, as a regular expression."""
    servers: Callable[[requests.Session, str], Rows]
    users: Callable[[requests.Session, str], Rows]
    document: Callable[[str, str, Mapping[str, int]], dict[str, Any]]
    """A product's document, from the panel's address, its key and the limits."""


def _get(session: requests.Session, address: str) -> Any:
    answer = session.get(address, timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json()


# --- Pterodactyl ---------------------------------------------------------------------------------------


def _pterodactyl(name: str) -> Callable[[requests.Session, str], Rows]:
    def read(session: requests.Session, url: str) -> Rows:
        data = _get(session, f"{url}/api/application/{name}?per_page=500")["data"]
        return [item["attributes"] for item in data]

    return read


def _pterodactyl_document(_url: str, _key: str, limits: Mapping[str, int]) -> dict[str, Any]:
    target = {"nest": 1, "egg": 5, "node": 1}
    return {"target": target, "limits": dict(limits), "runtime": {}, "options": {}}


# --- Calagopus -----------------------------------------------------------------------------------------


def _calagopus_servers(session: requests.Session, url: str) -> Rows:
    rows = _get(session, f"{url}/api/admin/servers?per_page=100")["servers"]["data"]
    return [_calagopus_server(row) for row in rows]


def _calagopus_server(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["uuid"],
        "identifier": row["uuid_short"],
        "external_id": row["external_id"],
        "name": row["name"],
        "user": row["owner"]["uuid"],
        "status": "suspended" if row["is_suspended"] else row["status"],
        "limits": row["limits"],
    }


def _calagopus_users(session: requests.Session, url: str) -> Rows:
    rows = _get(session, f"{url}/api/admin/users?per_page=100")["users"]["data"]
    return [{"id": row["uuid"], "email": row["email"]} for row in rows]


def _calagopus_document(url: str, key: str, limits: Mapping[str, int]) -> dict[str, Any]:
    """The ids are the panel's own, so it is asked for them."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"
        session.trust_env = False
        nests = _get(session, f"{url}/api/admin/nests/eggs")["nests"]
        node = _get(session, f"{url}/api/admin/nodes?per_page=1")["nodes"]["data"][0]
    nest, egg = next((n["nest"], e) for n in nests for e in n["eggs"] if e["name"] == "Paper")
    target = {"nest": nest["uuid"], "egg": egg["uuid"], "node": node["uuid"], "locations": []}
    return {"target": target, "limits": dict(limits), "runtime": {}, "options": {"delete_backups": True}}


PANELS: Mapping[str, DemoPanel] = {
    "pterodactyl": DemoPanel(
        driver="pterodactyl",
        version="1.12.3",
        key_start="ptla_",
        creates="^/api/application/servers$",
        servers=_pterodactyl("servers"),
        users=_pterodactyl("users"),
        document=_pterodactyl_document,
    ),
    "calagopus": DemoPanel(
        driver="calagopus",
        version="1.1.4",
        key_start="c7sp_",
        creates="^/api/admin/servers$",
        servers=_calagopus_servers,
        users=_calagopus_users,
        document=_calagopus_document,
    ),
}
