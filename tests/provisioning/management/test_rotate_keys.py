"""Rotating FIELD_KEYS: afterwards the new key alone reads everything, and the old one nothing."""

from __future__ import annotations

import io

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import call_command
from pytest_django import Settings

from provisioning.lib.crypto import DecryptError, FieldCipher, generate_key
from provisioning.models import EndpointSecret, Panel
from tests import factories

pytestmark = pytest.mark.django_db


def rotate() -> str:
    out = io.StringIO()
    call_command("rotate_keys", stdout=out)
    return out.getvalue()


@pytest.mark.req("CAL-12")
def test_the_newest_key_alone_reads_all_secrets_afterwards(settings: Settings) -> None:
    factories.panel(api_key="ptla_" + "B" * 43)
    factories.endpoint()
    user = factories.staff()
    TOTP.activate(user, generate_totp_secret())
    codes = RecoveryCodes.activate(user).get_unused_codes()
    old, new = settings.FIELD_KEYS[0], generate_key()
    settings.FIELD_KEYS = [new, old]
    assert rotate().startswith("4 secrets")
    settings.FIELD_KEYS = [new]
    assert Panel.objects.get().api_key == "ptla_" + "B" * 43
    assert EndpointSecret.objects.get().value == factories.SECRET
    kept = Authenticator.objects.get(user=user, type=Authenticator.Type.RECOVERY_CODES)
    assert RecoveryCodes(kept).get_unused_codes() == codes
    settings.FIELD_KEYS = [old]
    with pytest.raises(DecryptError):
        Panel.objects.get()


def test_a_second_run_finds_nothing_to_do(settings: Settings) -> None:
    factories.panel()
    settings.FIELD_KEYS = [generate_key(), *settings.FIELD_KEYS]
    rotate()
    assert rotate().startswith("0 secrets")


def test_what_the_newest_key_wrote_is_left_alone() -> None:
    assert not FieldCipher([key := generate_key()]).needs_rotation(FieldCipher([key]).encrypt("x"))
