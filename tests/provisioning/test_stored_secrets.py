"""Lost keys are found by one look at a panel and one at an endpoint's secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from pytest_django import Settings

from provisioning.lib.crypto import generate_key
from provisioning.models import EndpointSecret, Panel
from provisioning.stored_secrets import LOST_KEYS, lost_keys
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.req("CAL-12")]


@pytest.mark.parametrize("make", [factories.panel, factories.endpoint])
@pytest.mark.parametrize("keys", [lambda: [generate_key()], lambda: ["not-a-key"]])
def test_what_no_key_reads_is_found(
    settings: Settings, make: Callable[[], object], keys: Callable[[], list[str]]
) -> None:
    make()
    assert lost_keys() == ""
    old = settings.FIELD_KEYS
    settings.FIELD_KEYS = keys()
    assert lost_keys() == LOST_KEYS
    settings.FIELD_KEYS = [generate_key(), *old]
    assert lost_keys() == ""


def test_the_oldest_is_looked_at(settings: Settings) -> None:
    factories.panel()
    settings.FIELD_KEYS = [generate_key(), *settings.FIELD_KEYS]
    factories.panel(name="Second")
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    assert lost_keys() == LOST_KEYS


def test_the_documented_way_out_leaves_nothing_unreadable(settings: Settings) -> None:
    factories.panel(api_key="ptla_" + "B" * 43)
    factories.endpoint()
    TOTP.activate(factories.staff(), generate_totp_secret())
    settings.FIELD_KEYS = [generate_key()]
    document = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text()
    exec(document.partition("shell -c '")[2].partition("\n'")[0], {})  # noqa: S102  (our own document)
    assert lost_keys() == ""
    assert Panel.objects.get().api_key == ""
    assert EndpointSecret.objects.get().value not in ("", factories.SECRET)
    assert not Authenticator.objects.exists()


def test_nothing_stored_is_nothing_lost(
    settings: Settings, django_assert_num_queries: Callable[[int], Any]
) -> None:
    Panel.objects.filter(pk=factories.panel().pk).update(api_key="")
    settings.FIELD_KEYS = [generate_key()]
    with django_assert_num_queries(2):
        assert lost_keys() == ""
