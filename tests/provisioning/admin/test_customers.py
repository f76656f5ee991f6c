"""Customers and accounts: the link that proves whose a server is, and its removal."""

from __future__ import annotations

import pytest
from django.urls import reverse

from provisioning.choices import AccountState
from provisioning.models import AuditEntry, PanelAccount
from tests import factories
from tests.provisioning.admin.staffing import signed_in

pytestmark = pytest.mark.django_db


def linked(*, server_id: str = "") -> PanelAccount:
    """Ada's account, and a service of hers on that panel."""
    made = factories.service(server_id=server_id)
    assert made.panel is not None
    return PanelAccount.objects.create(
        panel=made.panel,
        customer=made.customer,
        state=AccountState.LINKED,
        panel_user_id="7",
        mark=made.customer.mark,
    )


def page(row: PanelAccount) -> str:
    return reverse("admin:provisioning_panelaccount_action", args=[row.pk, "unlink"])


@pytest.mark.req("CAL-42", "T83-43")
def test_a_link_that_proves_nothing_is_removed_with_a_reason() -> None:
    row = linked()
    client = signed_in(superuser=True)
    assert "The panel's user stays" in client.get(page(row)).content.decode().replace("&#x27;", "'")
    answer = client.post(page(row), {"note": "moved by hand"})
    assert answer.status_code == 302
    assert not PanelAccount.objects.exists()
    entry = AuditEntry.objects.get(action="account.unlinked")
    assert "moved by hand" in entry.message
    assert entry.actor.startswith("grace")


def test_a_link_that_a_server_rests_on_stays() -> None:
    row = linked(server_id="9")
    answer = signed_in(superuser=True).post(page(row), {"note": "by mistake"})
    assert "still has servers" in answer.content.decode()
    assert PanelAccount.objects.filter(pk=row.pk).exists()


def test_removing_a_link_needs_its_own_right() -> None:
    row = linked()
    assert signed_in("view_panelaccount").post(page(row), {"note": "x"}).status_code == 403
    assert PanelAccount.objects.filter(pk=row.pk).exists()
