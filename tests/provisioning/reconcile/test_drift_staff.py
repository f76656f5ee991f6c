"""What staff do about a difference: fix, adopt, ignore, check now; and plans on the command line."""

from __future__ import annotations

import datetime as dt
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from provisioning import queue
from provisioning.choices import DriftKind, DriftOutcome, Outcome, Resource
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle.staff import service_pin, service_recreate
from provisioning.models import AuditEntry, Drift, DriftPass
from provisioning.reconcile.drift_staff import (
    differences,
    drift_adopt,
    drift_check_now,
    drift_counts,
    drift_fix,
    drift_ignore,
)
from provisioning.sandbox.seed import seed_servers
from tests import factories
from tests.bridge import Bridge
from tests.provisioning.reconcile.drifting import check, fleet, standing
from tests.provisioning.reconcile.trouble import outlast


@pytest.mark.req("T83-43")
@pytest.mark.parametrize("what", ["memory", "status"])
def test_a_fix_puts_limits_and_state_right(bridge: Bridge, what: str) -> None:
    bridge.buy()
    setattr(bridge.server(), what, {"memory": 4096, "status": "suspended"}[what])
    check(bridge)
    drift_fix(drift=Drift.objects.get())
    outlast(bridge)
    assert (bridge.server().memory, bridge.server().status) == (1024, None)
    check(bridge)
    assert standing() == []
    assert AuditEntry.objects.filter(action="drift.fix", service=bridge.service()).count() == 1


def test_what_needs_a_decision_is_not_fixed_by_a_press(bridge: Bridge) -> None:
    bridge.buy()
    bridge.server().owner_id = 1
    check(bridge)
    with pytest.raises(TransitionError, match="Only limits and state"):
        drift_fix(drift=Drift.objects.get())


@pytest.mark.req("CAL-07")
def test_a_second_server_is_adopted_and_the_first_is_then_one_that_nobody_sells(bridge: Bridge) -> None:
    service = bridge.buy()
    first = bridge.server()
    seed_servers(bridge.panel.world, 1, owner_id=first.owner_id, mark="x")
    second = bridge.servers()[1]
    first.external_id, second.external_id = None, service.external_id
    check(bridge)
    drift_adopt(drift=Drift.objects.get(kind=DriftKind.DOUBLE), service=bridge.service())
    outlast(bridge)
    assert (bridge.service().server_id, bridge.operation().outcome) == (str(second.id), Outcome.SUCCEEDED)
    check(bridge)
    assert standing() == [(DriftKind.ORPHAN, str(first.id))]
    assert len(bridge.servers()) == 2, "nothing is mended by deleting"


def test_a_server_of_another_panel_is_not_adopted(bridge: Bridge) -> None:
    bridge.buy()
    seed_servers(bridge.panel.world, 1, owner_id=2, mark="77")
    check(bridge)
    found = Drift.objects.get()
    with pytest.raises(TransitionError, match="not made on panel"):
        drift_adopt(drift=found, service=factories.service())
    found.kind = DriftKind.MISSING
    with pytest.raises(TransitionError, match="no server here"):
        drift_adopt(drift=found, service=bridge.service())


def test_an_ignored_difference_comes_back_when_its_day_is_over(bridge: Bridge) -> None:
    bridge.buy()
    bridge.server().memory = 4096
    check(bridge)
    now = clock.now()
    for until in (now, now + dt.timedelta(days=400)):
        with pytest.raises(TransitionError, match="a year away at most"):
            drift_ignore(drift=Drift.objects.get(), until=until, because="no", user=None)
    grace = factories.staff(username="grace")
    drift_ignore(
        drift=Drift.objects.get(), until=now + dt.timedelta(days=7), because="A test of hers.", user=grace
    )
    check(bridge)
    found = Drift.objects.get()
    assert (found.ignored_by, found.resolved_at, drift_counts().differ) == (grace, None, 0)
    clock.shift(8 * 86400)
    assert [row.pk for row in differences()] == [found.pk]
    assert "A test of hers." in AuditEntry.objects.get(action="drift.ignore").message


def test_foreign_servers_are_listed_and_not_counted(bridge: Bridge) -> None:
    bridge.buy()
    seed_servers(bridge.panel.world, 3, owner_id=2, mark="77{}")
    check(bridge)
    assert len(standing()) == 3
    assert drift_counts().words == "1 services checked, 0 differ, 0 unknown"


def test_staff_need_not_wait_for_the_hour(bridge: Bridge) -> None:
    bridge.buy()
    drift_check_now(panel=bridge.row)
    row = DriftPass.objects.get()
    assert bridge.jobs.sent == [(queue.CHECK_DRIFT, row.pk)]
    bridge.jobs.drain()
    row.refresh_from_db()
    assert row.outcome == DriftOutcome.COMPARED
    assert AuditEntry.objects.filter(action="drift.check").count() == 1


# --- plans on the command line --------------------------------------------------------------------------


def said(*arguments: str) -> str:
    """What the command prints."""
    out = StringIO()
    call_command("reconcile", *arguments, stdout=out)
    return out.getvalue()


def test_a_dry_run_prints_plans_and_apply_does_exactly_one(bridge: Bridge) -> None:
    service = bridge.buy()
    bridge.row.observe_only = True
    bridge.row.save()
    service_pin(service=service, resource=Resource.MEMORY, value=2048)
    one, all_of_them = said("--dry-run", "--service", "12345"), said("--dry-run")
    checksum = one.split()[2]
    for text in (one, all_of_them, said("--dry-run", "--panel", str(bridge.row))):
        assert "~ memory 1024 → 2048 MiB" in text
        assert checksum in text
        assert "shop:12345" in text
    assert bridge.server().memory == 1024
    bridge.row.observe_only = False
    bridge.row.save()
    with pytest.raises(CommandError, match="has changed since"):
        said("--apply", "0" * 12, "--service", "12345")
    assert checksum in said("--apply", checksum, "--service", "shop:12345")
    outlast(bridge)
    assert bridge.server().memory == 2048
    assert "0 with something to do" in said("--dry-run")
    assert AuditEntry.objects.get(action="staff.apply").actor == "manage.py reconcile"


def test_a_dry_run_reads_lists_and_tells_trouble_in_words(bridge: Bridge) -> None:
    servers = fleet(bridge, 4)
    before = len(bridge.panel.calls)
    del bridge.panel.state.servers[servers[0].id]
    text = said("--dry-run")
    assert len(bridge.panel.calls) == before + 1
    assert f"! Server {servers[0].id} is gone from panel" in text
    assert "5 services, 1 with something" in text
    service_recreate(service=bridge.service())
    assert "carries the mark test-shop-12345 already" in said("--dry-run")
    bridge.panel.faults.add("error")
    assert "unknown: " in said("--dry-run")


def test_a_dry_run_waits_for_the_budget(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge.buy()
    bridge.row.rate_per_minute = 10
    bridge.row.save()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.shift(seconds)

    monkeypatch.setattr("provisioning.reconcile.drift_plans.time.sleep", sleep)
    for _ in range(4):
        assert "0 with something" in said("--dry-run")
    assert waits


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--dry-run", "--service", "99"), "no service"),
        (("--dry-run", "--panel", "nowhere"), "no panel"),
        (("--apply", "abc"), "Name the service"),
        (("--dry-run", "--service", "twice"), "Several services have that id"),
        ((), "required"),
    ],
)
def test_what_cannot_be_done_is_said(bridge: Bridge, arguments: tuple[str, ...], words: str) -> None:
    for key in ("one", "two"):
        product = factories.product(connection=factories.connection(key=key))
        factories.service(product=product, billing_id="twice")
    with pytest.raises(CommandError, match=words):
        said(*arguments)
