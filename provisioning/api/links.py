"""Where a service's server is, said by its driver without asking the panel (CAL-40)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from provisioning.drivers import registry
from provisioning.drivers.types import Observed, PanelConfig
from provisioning.exceptions import PanelWaiting
from provisioning.lib.http import Answer
from provisioning.models import Service


class Offline:
    """Transport and memory of a driver that shall only say what it knows by itself."""

    def request(self, method: str, path: str, **_: Any) -> Answer:
        """Refuses: a page that people wait for asks no panel."""
        raise PanelWaiting(f"{method} {path} was not sent: nothing is asked of the panel here.")

    def recall(self, kind: str, key: str) -> None:
        """Nothing is known."""

    def store(self, kind: str, key: str, value: Any) -> None:
        """Nothing is kept."""

    def forget(self, kind: str, key: str) -> None:
        """Nothing was kept."""

    def hold(self, candidates: Sequence[str]) -> None:
        """Nothing is reserved."""

    def release(self, held: str) -> None:
        """Nothing was reserved."""


def service_server_url(service: Service) -> str:
    """The link of *Go to server*, or "" while no server was seen."""
    if service.panel is None or not service.observed.get("server_id"):
        return ""
    driver = registry.get(service.panel.driver)
    config = PanelConfig(url=service.panel.url, language=service.panel.language)
    return driver(config, Offline(), Offline()).server_url(Observed.from_json(service.observed))
