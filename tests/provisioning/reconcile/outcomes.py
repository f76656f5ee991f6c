"""How the newest operation stands: what engine tests ask most."""

from __future__ import annotations

from provisioning.choices import Outcome
from provisioning.models import Notification
from tests.bridge import Bridge
from tests.provisioning.reconcile.trouble import outlast


def ended(bridge: Bridge) -> tuple[str, str, str]:
    """Outcome, reason and words of the newest operation."""
    operation = bridge.operation()
    return operation.outcome, operation.reason, operation.detail


def refused(bridge: Bridge, reason: str, words: str) -> None:
    outlast(bridge)
    outcome, shown, detail = ended(bridge)
    assert (outcome, shown) == (Outcome.NEEDS_STAFF, reason), detail
    assert words in detail
    assert Notification.objects.filter(key=f"needs_staff:{bridge.operation().pk}").count() == 1


def waits(bridge: Bridge, reason: str, words: str) -> None:
    outcome, shown, detail = ended(bridge)
    assert (outcome, shown) == (Outcome.WAITING, reason), detail
    assert words in detail
