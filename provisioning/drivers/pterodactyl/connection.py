"""*Test connection*: what is wrong with address, key, rights, version (CAL-11, CAL-42, T83-30).

Write rights are probed with an empty POST: 422 has the right, 403 lacks it, and nothing can be created,
because users and servers have required fields. No other resource is written to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from provisioning.drivers.errors import AuthFailed, DriverError, RateLimited, Unreachable
from provisioning.drivers.pterodactyl.client import Client, path
from provisioning.drivers.pterodactyl.failures import faults, meaning
from provisioning.drivers.types import ConnectionReport, Finding, PanelConfig
from provisioning.lib.http import Answer, HttpError

_KEY = re.compile(r"[A-Za-z0-9_]{48}")
KEY_LENGTH = 48
HOLES = (
    ((1, 11, 11), "CVE-2025-49132"),
    ((1, 12, 1), "CVE-2026-26016"),
    ((1, 12, 3), "CVE-2026-54593"),
)
"""First version without the hole, and its name."""

CREATE_KEY = "Create one under Admin → Application API, and copy it whole."
GRANT = "Make a key under Admin → Application API that has the right: {name}, {right}."
NO_PANEL = "Enter the panel's address as you open it in a browser, without /admin or /api."
REFUSED_KEY = "The key is missing, malformed, expired or lacks admin access (401)."
FORBIDDEN = (
    ("IP address", "The key may not be used from this machine's address.", "Add the address to the key."),
    (
        "does not have permission to access the API",
        "The key belongs to an account that is no administrator.",
        "Use an application key, or the client key of an administrator.",
    ),
    ("client API key", "This is the wrong kind of key.", CREATE_KEY),
)


def key_shape_problem(api_key: str) -> str:
    """A sentence if this can't be a key: 48 letters and digits, old ones without the prefix (section 1.1)."""
    if _KEY.fullmatch(api_key):
        return ""
    if len(api_key) != KEY_LENGTH:
        return f"A Pterodactyl key has {KEY_LENGTH} characters, this one has {len(api_key)}. {CREATE_KEY}"
    return f"The key has characters that no Pterodactyl key has. {CREATE_KEY}"


def connection_report(client: Client, config: PanelConfig) -> ConnectionReport:
    """All findings; stops at the first that makes the rest pointless. Raises PanelWaiting."""
    findings: list[Finding] = []
    if config.key_problem:
        findings.append(Finding(False, "The key is malformed.", config.key_problem))
    first = _reach(client)
    findings.append(first)
    if first.ok:
        findings += _rights(client)
    return ConnectionReport((*findings, *_version(config), *_language(config)), version=config.version)


def _reach(client: Client) -> Finding:
    """Whether there is a panel that takes the key."""
    try:
        answer = client.answer("GET", path("users"), params={"per_page": 1})
    except Unreachable as error:
        return _unreachable(error)
    except DriverError as error:
        return Finding(False, "The panel gave no usable answer.", f"{error.detail} Try again.")
    return _reached(answer)


def _unreachable(error: Unreachable) -> Finding:
    titles = {"panel_tls": "No safe connection.", "panel_address": "The panel's address is not allowed."}
    advice = error.detail if error.reason in titles else f"{error.detail} Check the address and the firewall."
    return Finding(False, titles.get(error.reason, "The panel is unreachable."), advice)


def _reached(answer: Answer) -> Finding:
    found = faults(answer)
    detail = found[0].detail if found else ""
    if answer.status == 200:
        return _first_list(answer)
    if 300 <= answer.status < 400:
        place = answer.headers.get("Location", "")
        return Finding(False, "The address redirects.", f"Enter the address that it leads to: {place[:200]}")
    if answer.status == 401 and found:
        return Finding(False, REFUSED_KEY, CREATE_KEY)
    if answer.status == 403 and found:
        return _forbidden(detail)
    if answer.status == 404 and detail.startswith("The route "):
        return _no_panel("The address answers, but has no Application API.")
    return _trouble(answer)


def _first_list(answer: Answer) -> Finding:
    if not _is_list(answer):
        return _no_panel("The address answers, but not as a panel does.")
    limit = answer.headers.get("X-RateLimit-Limit", "")
    pace = f" It allows {limit} calls a minute." if limit.isdecimal() else ""
    return Finding(True, f"The panel answers and takes the key.{pace}")


def _no_panel(title: str) -> Finding:
    return Finding(False, title, NO_PANEL)


def _forbidden(detail: str) -> Finding:
    for words, title, advice in FORBIDDEN:
        if words in detail:
            return Finding(False, title, f"{detail} {advice}")
    # Only this one right is missing: the others are still worth a look.
    return Finding(True, "The panel answers and takes the key.")


def _trouble(answer: Answer) -> Finding:
    error = meaning(answer)
    if isinstance(error, RateLimited):
        return Finding(False, "The panel asks for silence (429).", f"Try again in {error.seconds:.0f} s.")
    if isinstance(error, AuthFailed):
        return Finding(False, "The panel refuses the key.", error.detail)
    if answer.status >= 500:
        return Finding(
            False, f"The panel is in trouble ({answer.status}).", f"{error.detail} Try again later."
        )
    return _no_panel(f"The address answers, but not as a panel does ({answer.status}).")


def _rights(client: Client) -> Iterator[Finding]:
    for name, where in (("Users", "users"), ("Servers", "servers")):
        yield _read_right(client, name, path(where))[0]
        yield _write_right(client, name, path(where))
    yield from _nested_right(client, ("Nodes", "nodes"), ("Allocations", "allocations"))
    yield from _nested_right(client, ("Nests", "nests"), ("Eggs", "eggs"))
    yield _read_right(client, "Locations", path("locations"))[0]


def _nested_right(client: Client, outer: tuple[str, str], inner: tuple[str, str]) -> Iterator[Finding]:
    """Allocations and eggs can only be asked for below a node or nest."""
    finding, first = _read_right(client, outer[0], path(outer[1]))
    yield finding
    if first:
        yield _read_right(client, inner[0], path(outer[1], first, inner[1]))[0]
    elif finding.ok:
        yield Finding(
            False, f"The panel has no {outer[1]}.", f"Add {outer[1]} in the panel, then test again."
        )


def _read_right(client: Client, name: str, where: str) -> tuple[Finding, int | None]:
    """Whether a list may be read, and the id of its first entry."""
    answer = _asked(client, "GET", where)
    if isinstance(answer, Answer) and answer.status == 200 and _is_list(answer):
        return Finding(True, f"{name}: read."), _first_id(answer)
    return _missing(name, "read", answer), None


def _write_right(client: Client, name: str, where: str) -> Finding:
    answer = _asked(client, "POST", where)
    if isinstance(answer, Answer) and answer.status == 422 and faults(answer):
        return Finding(True, f"{name}: write.")
    return _missing(name, "write", answer)


def _asked(client: Client, method: str, where: str) -> Answer | DriverError:
    try:
        if method == "POST":
            return client.answer("POST", where, {})
        return client.answer("GET", where, params={"per_page": 1})
    except DriverError as error:
        return error


def _missing(name: str, right: str, answer: Answer | DriverError) -> Finding:
    if isinstance(answer, DriverError):
        return Finding(False, f"{name}: the right to {right} could not be tested.", answer.detail)
    if answer.status == 403 and faults(answer):
        return Finding(False, f"{name}: the key may not {right}.", GRANT.format(name=name, right=right))
    return _missing(name, right, meaning(answer))


def _is_list(answer: Answer) -> bool:
    return _json(answer).get("object") == "list"


def _first_id(answer: Answer) -> int | None:
    items = _json(answer).get("data")
    first = items[0] if isinstance(items, list) and items else None
    attributes = first.get("attributes") if isinstance(first, dict) else None
    number = attributes.get("id") if isinstance(attributes, dict) else None
    return number if type(number) is int else None


def _json(answer: Answer) -> dict[str, Any]:
    try:
        data = answer.json()
    except HttpError:
        return {}
    return data if isinstance(data, dict) else {}


def _version(config: PanelConfig) -> Iterator[Finding]:
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", config.version)
    if match is None:
        advice = "Enter the version that the admin area shows, so that known holes can be named."
        yield Finding(True, "The panel does not tell its version.", advice)
        return
    version = tuple(int(part) for part in match.groups())
    open_holes = [name for fixed, name in HOLES if version < fixed]
    if open_holes:
        advice = f"Update it to {'.'.join(map(str, HOLES[-1][0]))} or later."
        yield Finding(False, f"Version {config.version} has known holes: {', '.join(open_holes)}.", advice)


def _language(config: PanelConfig) -> Iterator[Finding]:
    if config.language != "en":
        advice = f"A stock panel has English only. Accounts get “{config.language}” if the panel has it."
        yield Finding(True, f"New accounts ask for the language “{config.language}”.", advice)
