"""Three truths side by side: what billing says, what we want, what the panel shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provisioning import desired
from provisioning.choices import DesiredState, Resource
from provisioning.drivers import registry
from provisioning.drivers.types import Observed
from provisioning.lib import clock
from provisioning.models import Service
from provisioning.reconcile.transport import driver_for
from provisioning.selectors import reasons_text

FITTING = {
    DesiredState.PRESENT: ("active",),
    DesiredState.SUSPENDED: ("suspended",),
    DesiredState.ABSENT: ("absent", "never"),
    DesiredState.NONE: ("absent", "never"),
}
"""What the panel shows when it agrees with what we want. A suspended service without a server has none."""


@dataclass(frozen=True)
class LimitRow:
    """One limit: what the plan gives, what adds to it, what a pin fixes, what follows, what is shown."""

    label: str
    unit: str
    plan: int | None
    added: int
    pinned: int | None
    wanted: int | None
    shown: Any

    @property
    def differs(self) -> bool:
        """Whether the panel shows something else than we want."""
        return self.shown is not None and self.wanted != self.shown


def limit_rows(service: Service) -> list[LimitRow]:
    """The limits of a service, in the order of the driver's form. Empty while no product is mapped."""
    sold = service.sold
    if sold is None:
        return []
    plan = sold.document.get("limits") or {}
    wanted = desired.service_limits(service, sold)
    added: dict[str, int] = {}
    for resource, number in desired.active_grants(service, clock.now()):
        added[resource] = added.get(resource, 0) + number
    pins = {pin.resource: pin.value for pin in service.pins.all()}
    shown = service.observed.get("limits") or {}
    return [
        LimitRow(
            label, unit, plan.get(name), added.get(name, 0), pins.get(name), wanted[name], shown.get(name)
        )
        for name, label, unit in _labels(sold.panel.driver)
        if name in wanted
    ]


def _labels(driver: str) -> list[tuple[str, str, str]]:
    fields = [spec for spec in registry.get(driver).spec.fields if spec.section == "limits"]
    if not fields:
        return [(name, str(label), "") for name, label in Resource.choices]
    return [(spec.name, spec.label, spec.unit) for spec in fields]


def difference(service: Service) -> str:
    """Which of the truths is expected to move, where they differ; empty where they agree."""
    wanted = DesiredState(service.desired_state)
    if service.observed_state in FITTING[wanted] and service.converged:
        return ""
    if wanted is DesiredState.SUSPENDED and not service.server_id:
        return ""
    if wanted is DesiredState.NONE:
        return "Billing is expected to move: it calls this service pending."
    return "The panel is expected to move: the bridge brings it to what we want."


def wish(service: Service) -> str:
    """What we want, with the reasons of a suspension."""
    label = str(DesiredState(service.desired_state).label)
    return f"{label} ({reasons_text(service)})" if service.suspend_reasons else label


def server_address(service: Service) -> str:
    """The link of *Go to server* (CAL-40); empty where there is none yet."""
    seen = dict(service.observed)
    known = (seen.pop("sign_in", None) or {}).get("server_url", "")
    if not known and service.panel and "server_id" in seen:
        known = driver_for(service.panel).server_url(Observed.from_json(seen))
    return known if known.startswith(("https://", "http://")) else ""
