"""What a changed product would mean for the services that were sold before: counted, and nothing called.

Each service's plan rests on its last stored look, so that 10,000 services cost no panel call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from provisioning import desired
from provisioning.choices import DesiredState
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.types import ChangeKind, Memory, Observed, Plan
from provisioning.lifecycle.product_versions import services_sold, stays_because
from provisioning.models import Operation, Panel, PanelGate, Product, ProductVersion, Service
from provisioning.reconcile.gate import budget
from provisioning.reconcile.memory import PanelMemories
from provisioning.reconcile.transport import driver_for

SHOWN = 20
"""Services whose lines are shown."""
CHUNK = 500
UNMADE = "no server yet, made from that version"
UNPAID = "not paid, so nothing is done before a payment"
UNSEEN = "never seen on the panel, looked at first"
NOTHING = "nothing to change on the panel"
KINDS: Mapping[ChangeKind, str] = {
    ChangeKind.RESIZE: "new limits",
    ChangeKind.STARTUP: "another image, startup command or variables, from the next start on",
    ChangeKind.SUSPEND: "suspended, which is due anyway",
    ChangeKind.UNSUSPEND: "unsuspended, which is due anyway",
    ChangeKind.MARK: "our external id, which is due anyway",
}
LESS = {"disk": "disk", "memory": "memory", "cpu": "CPU"}
CALLS_UNSEEN = 2
STUCK = (
    "no_capacity",
    "product_flagged",
    "product_invalid",
    "panel_rejected",
    "panel_retired",
    "unsupported",
)
"""What an order without a server may wait for that only another version of the product ends."""


@dataclass
class FollowPlan:
    """What would follow. `kinds`, `left`, `notes` and `less` count services by the words that fit them."""

    services: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    less: Counter[str] = field(default_factory=Counter)
    sample: list[tuple[Service, list[str]]] = field(default_factory=list)
    stuck: int = 0
    calls: int = 0
    seconds: float = 0


class _Recalled(PanelMemories):
    """Asks the database for each thing once: thousands of services are compared in a row."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._known: dict[tuple[str, str], Any] = {}

    def recall(self, kind: str, key: str) -> Any | None:
        if (kind, key) not in self._known:
            self._known[kind, key] = super().recall(kind, key)
        return self._known[kind, key]


def follow_plan(version: ProductVersion) -> FollowPlan:
    """The plan of having all services follow to a version, which need not be stored yet. Calls nobody."""
    driver = driver_for(version.panel)
    memory: Memory = _Recalled(version.panel)
    driver.memory = memory
    plan = FollowPlan()
    for service in _services(version.product).iterator(chunk_size=CHUNK):
        words = stays_because(service, version.product, version.panel_id)
        if words:
            plan.left[words] += 1
            continue
        plan.services += 1
        service.product, service.product_version = version.product, version
        _count(plan, service, driver)
    plan.stuck = _stuck(version.product)
    plan.seconds = seconds_for(plan.calls, version.panel, driver)
    return plan


def _stuck(product: Product) -> int:
    """Orders without a server that go on only if they follow."""
    newest = Operation.objects.filter(service=OuterRef("pk")).order_by("-id").values("reason")[:1]
    rows = services_sold(product).filter(server_id="", create_sent_at=None).annotate(waits=Subquery(newest))
    return rows.filter(waits__in=STUCK).count()


def _services(product: Product) -> QuerySet[Service]:
    # Nothing is joined: the panel's key would be decrypted for each of ten thousand rows.
    return services_sold(product).order_by("pk").prefetch_related("pins", "entitlements")


def _count(plan: FollowPlan, service: Service, driver: PanelDriver) -> None:
    if not service.server_id and service.create_sent_at is None:
        plan.kinds[UNMADE] += 1
        return
    if service.desired_state == DesiredState.NONE:
        plan.kinds[UNPAID] += 1
        return
    try:
        seen = Observed.from_json(service.observed)
        wanted = desired.build(service, None)
        steps, notes = driver.plan(wanted, seen), driver.plan_notes(wanted, seen)
    except (KeyError, TypeError):
        # No look is stored, or one that does not say all that this driver compares.
        plan.kinds[UNSEEN] += 1
        plan.calls += CALLS_UNSEEN
        return
    plan.notes.update(notes)
    if steps is None:
        plan.kinds[NOTHING] += 1
        # Its raised generation is proven by one look.
        plan.calls += 1
        return
    plan.kinds.update({KINDS.get(kind, kind.value) for kind in steps.kinds()})
    plan.calls += driver.calls_of(steps)
    plan.less.update(_less(steps))
    if len(plan.sample) < SHOWN:
        plan.sample.append((service, steps.lines()))


def _less(plan: Plan) -> Iterable[str]:
    """The resources of which a server gets less than it has; 0 is without limit."""
    for change in plan.changes:
        if change.kind is ChangeKind.RESIZE:
            for name, word in LESS.items():
                before, after = change.before.get(name), change.after.get(name)
                if after and before is not None and (before == 0 or after < before):
                    yield word


def seconds_for(calls: int, panel: Panel, driver: PanelDriver) -> float:
    """About how long so many calls take within what the panel allows, if nothing else calls it."""
    gate = PanelGate.objects.filter(panel=panel).first() or PanelGate(panel=panel)
    rate: float = budget(panel, gate, driver.default_rate)[0]
    window = driver.rate_window
    if window is not None:
        rate = min(rate, 60 * window.calls / window.clear)
    return 60 * calls / rate
