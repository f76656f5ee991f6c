"""The small bridge with a sandbox Calagopus behind it, for what differs on a second panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.sandbox.calagopus.rows import Allocation, Server
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.bridge import LIMITS, Bridge


@dataclass
class CalagopusBridge(Bridge):
    """The same cast on the other panel; its sandbox keeps servers in other columns."""

    panel: CalagopusSandbox  # type: ignore[assignment]
    driver: ClassVar[str] = "calagopus"

    def document(self, **limits: int) -> dict[str, Any]:
        """A Paper server on the first node."""
        return self.placed(auto=False, **limits)

    def placed(self, *, auto: bool, **limits: int) -> dict[str, Any]:
        """A Paper server on the first node, or *Auto* in the one location."""
        state = self.panel.state
        egg = next(row for row in state.eggs.values() if row.name == "Paper")
        target: dict[str, Any] = {"nest": egg.nest, "egg": egg.uuid}
        place = next(iter(state.locations))
        target |= {"locations": [place]} if auto else {"node": next(iter(state.nodes)), "locations": []}
        return {
            "target": target,
            "limits": {**LIMITS, "memory_overhead": 0, "schedules": 0, **limits},
            "runtime": {},
            "options": {"delete_backups": True},
        }

    def rows(self) -> list[Server]:
        """What stands on the panel."""
        return list(self.panel.state.servers.values())

    def row_of(self) -> Server:
        """The one server on the panel."""
        (found,) = self.rows()
        return found

    def calls(self) -> list[str]:
        """What was called since the last time, but for looks at an install."""
        found = [
            f"{call.method} {call.pattern.removeprefix('/api/admin/')}"
            for call in list(self.panel.calls.entries)
        ]
        self.panel.calls.clear()
        return found


def more_ports(panel: CalagopusSandbox, number: int) -> None:
    """Free allocations on the first node, for tests that order much."""
    node = next(iter(panel.state.nodes))
    for port in range(30000, 30000 + number):
        row = Allocation(*panel.world.stamp(), node, "192.0.2.1", port)
        panel.world.state.allocations[row.uuid] = row
