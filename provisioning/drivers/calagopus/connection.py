"""*Test connection*: what is wrong with address, key, each right, language, provider (CAL-11, CAL-42).

The panel shows a key its own lists of rights, so nothing has to be tried out and nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.drivers.calagopus.client import Client, object_of, path
from provisioning.drivers.calagopus.failures import meaning, texts
from provisioning.drivers.errors import DriverError, RateLimited, Unknown, Unreachable
from provisioning.drivers.trouble import NotThere
from provisioning.drivers.types import ConnectionReport, Finding, PanelConfig
from provisioning.lib.http import Answer, HttpError, quote_segment

_KEY = re.compile(r"c7sp_[A-Za-z0-9]{43}")
KEY_LENGTH, KEY_START = 48, 16
ACCOUNT = "/api/client/account"

NEEDED: Mapping[str, tuple[str, ...]] = {
    "servers": ("read", "create", "update", "delete", "variables"),
    "users": ("read", "create", "update"),
    "nodes": ("read", "allocations"),
    "locations": ("read",),
    "nests": ("read",),
    "eggs": ("read",),
    "backup-configurations": ("read",),
    "stats": ("read",),
}
"""The least admin rights of a key (contract section 2.5)."""
WITH_PROVIDER: Mapping[str, tuple[str, ...]] = {"users": ("oauth-links",), "oauth-providers": ("read",)}
PROVIDERS = "oauth-providers.read"
OWN, AT_SERVERS = "api-keys.read", "settings.install"

CREATE_KEY = "Create one under Account → API Keys as an administrator, and copy it whole."
NO_PANEL = "Enter the panel's address as you open it in a browser, without /admin or /api."
REFUSED_KEY = "The key is missing, malformed, expired or lacks admin access (401)."


def key_shape_problem(api_key: str) -> str:
    """A sentence if this can't be a key: `c7sp_` and 43 letters and digits (contract section 2.5)."""
    if _KEY.fullmatch(api_key):
        return ""
    if len(api_key) != KEY_LENGTH:
        return f"A Calagopus key has {KEY_LENGTH} characters, this one has {len(api_key)}. {CREATE_KEY}"
    return f"A Calagopus key is c7sp_ and 43 letters and digits; this one is not. {CREATE_KEY}"


def key_start(api_key: str) -> str:
    """The first 16 characters, by which the panel itself names a key; empty for what is no key."""
    return "" if key_shape_problem(api_key) else api_key[:KEY_START]


@dataclass(frozen=True)
class Rights:
    """What the key may do, as far as the panel tells."""

    admin: frozenset[str]
    own: frozenset[str]
    at_servers: frozenset[str]


def connection_report(client: Client, config: PanelConfig) -> ConnectionReport:
    """All findings; stops at the first that makes the rest pointless. Raises PanelWaiting."""
    findings: list[Finding] = []
    if config.key_problem:
        findings.append(Finding(False, "The key is malformed.", config.key_problem))
    reached, languages = _reach(client)
    findings.append(reached)
    version = config.version
    if reached.ok and not config.key_problem:
        rights = _rights(client, config)
        findings += rights
        if rights[0].ok:
            findings += _provider(client, config)
            version = _version(client) or version
    if reached.ok:
        findings.append(_language(languages, config.language))
    return ConnectionReport(tuple(findings), version=version)


def _reach(client: Client) -> tuple[Finding, list[str]]:
    """Whether there is a panel, and its languages: this one list needs no key."""
    try:
        answer = client.answer("GET", "/api/languages")
    except Unreachable as error:
        return _unreachable(error), []
    except DriverError as error:
        return Finding(False, "The panel gave no usable answer.", f"{error.detail} Try again."), []
    if 300 <= answer.status < 400:
        place = answer.headers.get("Location", "")
        return Finding(False, "The address redirects.", f"Enter where it leads to: {place[:200]}"), []
    found = _json(answer).get("languages")
    if answer.status == 200 and isinstance(found, list):
        return Finding(True, "The panel answers."), [str(item) for item in found]
    return _no_panel(answer), []


def _unreachable(error: Unreachable) -> Finding:
    titles = {"panel_tls": "No safe connection.", "panel_address": "The panel's address is not allowed."}
    advice = error.detail if error.reason in titles else f"{error.detail} Check the address and the firewall."
    return Finding(False, titles.get(error.reason, "The panel is unreachable."), advice)


def _no_panel(answer: Answer) -> Finding:
    error = meaning(answer)
    if isinstance(error, RateLimited):
        return Finding(False, "The panel asks for silence (429).", f"Try again in {error.seconds:.0f} s.")
    if answer.status >= 500:
        title = f"The panel is in trouble ({answer.status})."
        return Finding(False, title, f"{error.detail} Try again later.")
    return Finding(
        False, f"The address answers, but not as a Calagopus panel does ({answer.status}).", NO_PANEL
    )


def _json(answer: Answer) -> dict[str, Any]:
    try:
        data = answer.json()
    except HttpError:
        return {}
    return data if isinstance(data, dict) else {}


# --- the key and each right --------------------------------------------------------------------------


def _rights(client: Client, config: PanelConfig) -> list[Finding]:
    """Whether the key is taken, then one finding for each right that is missing."""
    where = f"{ACCOUNT}/api-keys/identifier/{quote_segment(config.key_name or 'none')}"
    try:
        answer = client.answer("GET", where)
    except DriverError as error:
        return [Finding(False, "The key could not be tested.", error.detail)]
    if answer.status != 200:
        return [_refused(answer)]
    try:
        rights = _shown(client, object_of(_json(answer), "api_key"))
    except DriverError as error:
        return [Finding(False, "The rights of the key could not be read.", error.detail)]
    missing, optional = list(_missing(rights, config)), _optional(rights, config)
    if missing:
        return [Finding(True, "The panel takes the key."), *missing, *optional]
    return [Finding(True, "The panel takes the key, and every right is there."), *optional]


def _refused(answer: Answer) -> Finding:
    error, said = meaning(answer), texts(answer)
    if answer.status == 401 and said:
        return Finding(False, REFUSED_KEY, CREATE_KEY)
    if answer.status == 403 and said and OWN in said[0]:
        return Finding(False, f"The key may not show its own rights ({OWN}).", f"Add the right {OWN} to it.")
    if isinstance(error, RateLimited):
        return Finding(False, "The panel asks for silence (429).", f"Try again in {error.seconds:.0f} s.")
    return Finding(False, f"The panel refuses the key ({answer.status}).", error.detail)


def _shown(client: Client, key: Mapping[str, Any]) -> Rights:
    """A key gives no more than its owner has: all for an administrator, else those of the role."""
    admin, own, servers = (_texts(key.get(f"{name}_permissions")) for name in ("admin", "user", "server"))
    owner = client.get("user", ACCOUNT)
    if owner.get("admin") is not True:
        role = owner.get("role")
        admin &= _texts(role.get("admin_permissions")) if isinstance(role, dict) else frozenset()
    return Rights(admin, own, servers)


def _texts(value: object) -> frozenset[str]:
    return (
        frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()
    )


def _missing(rights: Rights, config: PanelConfig) -> Iterator[Finding]:
    for group, names in (*NEEDED.items(), *(WITH_PROVIDER.items() if config.identity_provider else ())):
        for name in names:
            if f"{group}.{name}" not in rights.admin:
                yield _lacks("admin", f"{group}.{name}")
    if AT_SERVERS not in rights.at_servers:
        yield _lacks("server", AT_SERVERS)


def _optional(rights: Rights, config: PanelConfig) -> list[Finding]:
    """Without a provider its rights are not needed, but then none can be chosen by name either (CAL-41)."""
    if config.identity_provider or PROVIDERS in rights.admin:
        return []
    advice = f"Only to let customers sign in with billing: add the admin right {PROVIDERS} to the key."
    return [Finding(True, "No identity provider is used, and their list may not be read.", advice)]


def _lacks(kind: str, right: str) -> Finding:
    advice = f"Add the {kind} right {right} to the key; its owner must have it, too."
    return Finding(False, f"The key lacks the right {right}.", advice)


# --- the rest of the panel's row ---------------------------------------------------------------------


def _provider(client: Client, config: PanelConfig) -> Iterator[Finding]:
    if not config.identity_provider:
        return
    try:
        found = client.get("oauth_provider", path("oauth-providers", config.identity_provider))
    except NotThere:
        advice = "Press “Refresh lists” on the panel's page, then choose another there, or none."
        yield Finding(False, "The panel has no such identity provider.", advice)
    except DriverError as error:
        yield Finding(False, "The identity provider could not be looked at.", error.detail)
    else:
        if found.get("enabled") is True:
            yield Finding(True, f"Customers sign in through “{str(found.get('name'))[:60]}”.")
        else:
            yield Finding(False, "The identity provider is switched off.", "Enable it in the panel.")


def _version(client: Client) -> str:
    """The panel's version, where the key may read it."""
    try:
        answer = client.answer("GET", path("system", "overview"))
    except DriverError:
        return ""
    return str(_json(answer).get("version") or "")[:20] if answer.status == 200 else ""


def language_problem(client: Client, wanted: str) -> dict[str, str]:
    """Field -> sentence for a language that the panel lacks; its list needs no key. Raises Unknown."""
    finding, languages = _reach(client)
    if not finding.ok:
        raise Unknown(f"{finding.title} {finding.advice}".strip(), maybe_done=False)
    found = _language(languages, wanted)
    return {} if found.ok else {"language": f"{found.title} {found.advice}"}


def _language(languages: list[str], wanted: str) -> Finding:
    if wanted in languages:
        return Finding(True, f"New accounts get the language “{wanted}”.")
    return Finding(
        False,
        f"The panel does not have the language “{wanted}”.",
        f"Choose one of {', '.join(languages) or 'its own'} on the panel's page.",
    )
