"""*Try it* as staff see it: asked first, shown step by step, stopped; trials are no sold services."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from provisioning.choices import Outcome, TrialOutcome
from provisioning.lib import clock
from provisioning.models import AuditEntry, Operation, ProductTrial, Service
from provisioning.sandbox.server import PanelSandbox
from tests import factories
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.admin.staffing import signed_in

pytestmark = pytest.mark.slow

RIGHTS = ("view_product", "change_product", "view_service", "act_suspend", "act_limits", "act_terminate")
TRIAL_PAGES = ("provisioning_product_try", "provisioning_product_trial")


@pytest.fixture
def bridge(jobs: Jobs, db: None) -> Iterator[Bridge]:
    with PanelSandbox() as panel:
        yield Bridge(panel, jobs)


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def pressed(client: Client, bridge: Bridge) -> Any:
    """The button on the page that asks."""
    return client.post(reverse("admin:provisioning_product_try", args=[bridge.product.pk]))


def go(bridge: Bridge) -> None:
    """The ticker's seconds go by, two at a time."""
    for _ in range(60):
        bridge.settle(rounds=1, seconds=2)
        if not ProductTrial.objects.filter(finished_at=None).exists():
            return
    raise AssertionError("The trial never ended.")


@pytest.mark.req("T83-43")
def test_it_is_asked_first_then_shown_step_by_step_and_kept(bridge: Bridge) -> None:
    client = signed_in(*RIGHTS, username="ada")
    product_page = reverse("admin:provisioning_product_change", args=[bridge.product.pk])
    asks = reverse("admin:provisioning_product_try", args=[bridge.product.pk])
    assert asks in text_of(client.get(product_page))
    asked = text_of(client.get(asks))
    assert "About 14 panel calls" in asked
    assert "Suspend it, then unsuspend it." in asked
    assert not Service.objects.exists()
    page = pressed(client, bridge).url
    bridge.jobs.drain()
    shown = text_of(client.get(page))
    assert 'hx-trigger="every 2s' in shown
    assert "Stop and clean up" in shown
    assert "Wait for the install. Waiting for the install on panel" in shown
    go(bridge)
    trial = ProductTrial.objects.get()
    shown = text_of(client.get(page))
    assert "Every step was proven, and the test server is gone." in shown
    assert "hx-trigger" not in shown.partition('id="live"')[2].partition(">")[0]
    assert [row.calls for row in client.get(page).context["steps"]] == [6, None, 2, 2, 2, 3]
    assert "Deleted: the panel no longer knows the server." in shown
    assert f"Trial {trial.pk}</a>" in text_of(client.get(product_page))
    started = AuditEntry.objects.get(service=trial.service, action="trial.start")
    assert (started.actor, trial.started_by, trial.outcome) == ("ada", "ada", TrialOutcome.PASSED)


def test_stopping_it_leaves_only_the_clean_up(bridge: Bridge) -> None:
    client = signed_in(*RIGHTS, username="ada")
    page = pressed(client, bridge).url
    bridge.jobs.drain()
    assert bridge.servers() != []
    assert "Stopped. The test server is deleted now." in text_of(client.post(page, follow=True))
    go(bridge)
    shown = client.get(page)
    assert bridge.servers() == []
    assert "Stopped by staff. <code>trial_stopped</code>" in text_of(shown)
    words = [row.word for row in shown.context["steps"]]
    assert words == ["done", "failed", "left out", "left out", "left out", "done"]


def test_why_it_cannot_be_tried_is_said_and_nothing_is_made(bridge: Bridge) -> None:
    client = signed_in(*RIGHTS)
    pressed(client, bridge)
    assert "A trial of “fire-elemental” is under way" in text_of(pressed(client, bridge))
    assert ProductTrial.objects.count() == 1


@pytest.mark.req("T83-40")
@pytest.mark.parametrize("missing", RIGHTS[1:2] + RIGHTS[3:])
def test_it_takes_every_right_of_what_it_does(bridge: Bridge, missing: str) -> None:
    able = signed_in(*RIGHTS)
    page = pressed(able, bridge).url
    client = signed_in(*(right for right in RIGHTS if right != missing))
    product_page = reverse("admin:provisioning_product_change", args=[bridge.product.pk])
    assert "Try it</a>" not in text_of(client.get(product_page))
    assert pressed(client, bridge).status_code == 403
    assert client.get(page).status_code == 200
    assert client.post(page).status_code == 403
    assert not ProductTrial.objects.get().cleaning


@pytest.mark.parametrize("number", ["999", "x", "1" * 30])
def test_another_products_trial_is_not_there(bridge: Bridge, number: str) -> None:
    client = signed_in(*RIGHTS)
    trial = ProductTrial.objects.get(pk=pressed(client, bridge).url.rstrip("/").rpartition("/")[2])
    url = "admin:provisioning_product_trial"
    assert client.get(reverse(url, args=[bridge.product.pk, number])).status_code == 404
    assert client.get(reverse(url, args=[bridge.bigger.pk, trial.pk])).status_code == 404


def listed(client: Client, query: str = "") -> set[str]:
    """Billing ids of the list of services."""
    page = client.get(reverse("admin:provisioning_service_changelist") + query)
    return {row.billing_id for row in page.context["cl"].result_list}


def test_the_list_of_services_hides_trials_unless_asked(bridge: Bridge) -> None:
    client = signed_in(superuser=True)
    pressed(client, bridge)
    trial = ProductTrial.objects.get().service
    sold = factories.service(product=bridge.product, billing_id="77")
    assert listed(client) == {sold.billing_id}
    assert listed(client, "?trials=only") == {trial.billing_id}
    assert listed(client, "?trials=also") == {sold.billing_id, trial.billing_id}
    page = text_of(client.get(reverse("admin:provisioning_service_change", args=[trial.pk])))
    assert "A test server of" in page
    assert "Terminate service" not in page
    assert "Link or adopt a server" not in page
    assert "Try again now" in page


def test_the_dashboard_counts_no_trial(bridge: Bridge) -> None:
    client = signed_in(superuser=True)
    pressed(client, bridge)
    trial = ProductTrial.objects.get().service
    factories.operation(service=trial, outcome=Outcome.NEEDS_STAFF, finished_at=clock.now())
    page = client.get(reverse("admin:index")).context
    assert page["sentence"].startswith("No services yet")
    assert page["newest"] == []
    assert [tile.big for tile in page["tiles"][:2]] == ["0", "0"]
    assert Operation.objects.filter(service=trial).exists()


def test_a_product_that_was_only_tried_says_so_when_it_is_to_be_deleted(bridge: Bridge) -> None:
    client = signed_in(superuser=True)
    pressed(client, bridge)
    delete = reverse("admin:provisioning_product_delete", args=[bridge.product.pk])
    assert "was tried: the record of its trials needs it" in text_of(client.post(delete, follow=True))
