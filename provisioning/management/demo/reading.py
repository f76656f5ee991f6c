"""How the story looks at the world: the panel and our own API, both over HTTP, never our tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests

from provisioning.management.demo.panels import PANELS, TIMEOUT
from provisioning.management.demo.rows import Cast

T = TypeVar("T")
PATIENCE = 40.0
SOONEST, LATEST = 0.1, 0.5
"""Seconds between two looks, at first and in the end."""


class StepFailed(Exception):
    """A step of the story could not be confirmed; the words say what was expected and what was seen."""


class Reader:
    """Reads the sandbox panel and our API; sends events through the sandbox's billing sender."""

    def __init__(self, cast: Cast, public_url: str) -> None:
        self.cast = cast
        self.panel = PANELS[cast.kind]
        self.api = f"{public_url}/api/v1"
        self.panel_session = requests.Session()
        self.panel_session.headers["Authorization"] = f"Bearer {cast.panel_key}"
        self.api_session = requests.Session()
        self.api_session.headers["Authorization"] = f"Bearer {cast.api_token}"
        for session in (self.panel_session, self.api_session):
            session.headers["Accept"] = "application/json"
            session.trust_env = False

    # --- billing -----------------------------------------------------------------------------------

    def send(self, event: dict[str, Any]) -> dict[str, Any]:
        """Billing signs and posts one event; the bridge's answer has to be 202."""
        body = {"url": self.cast.webhook_url, "secret": self.cast.secret, "event": event}
        sent: dict[str, Any] = self.control(self.cast.billing_url, "POST", "send", body)
        if sent["status"] != 202:
            raise StepFailed(f"The webhook was answered with {sent['status']}: {sent['answer'][:200]}")
        return sent

    # --- the panel ---------------------------------------------------------------------------------

    def servers(self) -> list[dict[str, Any]]:
        """Every server on the panel, as its own API shows it."""
        return self.panel.servers(self.panel_session, self.cast.panel_url)

    def users(self) -> list[dict[str, Any]]:
        """Every user of the panel."""
        return self.panel.users(self.panel_session, self.cast.panel_url)

    def server(self, mark: str) -> dict[str, Any] | None:
        """The one server of that mark; more than one fails the story."""
        found = [server for server in self.servers() if server["external_id"] == mark]
        if len(found) > 1:
            raise StepFailed(f"{len(found)} servers carry the mark {mark}.")
        return found[0] if found else None

    def panel_control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Moves the sandbox's levers: faults, installs, counters."""
        return self.control(self.cast.panel_url, method, path, body)

    def control(self, base: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call of a sandbox's control API."""
        answer = requests.request(method, f"{base}/_sandbox/{path}", json=body, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json()

    def bridge_calls(self) -> int:
        """How many calls the panel has had, less our own looks at it."""
        counts = self.panel_control("GET", "calls")["counts"]
        return sum(row["count"] for row in counts if not self._own_look(row))

    @staticmethod
    def _own_look(row: dict[str, Any]) -> bool:
        # Drift passes read these lists too, but none runs inside the story.
        pattern = str(row["pattern"]).rstrip("/")
        return bool(row["method"] == "GET" and pattern.endswith(("/servers", "/users")))

    # --- our own API -------------------------------------------------------------------------------

    def get(self, path: str, **params: str) -> Any:
        """One page or one row of our API."""
        answer = self.api_session.get(f"{self.api}/{path}", params=params, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json()

    def service(self, billing_id: str) -> dict[str, Any]:
        """A service with everything; an empty dict before it is known."""
        rows = self.get("services/", billing_id=billing_id)["results"]
        return dict(self.get(f"services/{rows[0]['id']}/")) if rows else {}

    def operations(self, billing_id: str) -> list[dict[str, Any]]:
        """The service's operations, newest first, with calls and proofs."""
        rows = self.get("operations/", billing_id=billing_id)["results"]
        return [self.get(f"operations/{row['id']}/") for row in sorted(rows, key=lambda r: -r["id"])]

    def until(self, what: str, look: Callable[[], T | None], *, patience: float = PATIENCE) -> T:
        """Looks again and again until there is an answer. Raises StepFailed after `patience` seconds.

        The longer it takes, the rarer it looks: on a slow machine these looks would use up the calls that
        the panel allows, and the bridge needs them.
        """
        begun = time.monotonic()
        while (waited := time.monotonic() - begun) < patience:
            found = look()
            if found:
                return found
            time.sleep(min(SOONEST + waited / 10, LATEST))
        raise StepFailed(f"Expected within {patience:.0f} s: {what}.")
