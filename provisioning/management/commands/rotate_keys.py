"""`manage.py rotate_keys`: writes every secret in the database anew with the first of FIELD_KEYS."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Model, TextField
from django.db.models.functions import Cast

from provisioning.models.fields import EncryptedField, field_cipher

SEALED = ("secret", "seed")
"""What allauth keeps encrypted inside an authenticator's JSON."""


class Command(BaseCommand):
    """After it the older keys can be taken out of FIELD_KEYS. Running it twice does no harm."""

    help = "Encrypt every stored secret with the newest of FIELD_KEYS (the first)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Rewrites row by row, each in a transaction of its own, and says how many."""
        count = sum(rotate_model(model) for model in apps.get_models()) + rotate_authenticators()
        self.stdout.write(f"{count} secrets were written with the newest key. Older keys can be removed now.")


def encrypted_fields(model: type[Model]) -> list[str]:
    """The names of a model's encrypted columns."""
    return [field.name for field in model._meta.concrete_fields if isinstance(field, EncryptedField)]


def rotate_model(model: type[Model]) -> int:
    """Rewrites one model's secrets that an older key made. Returns how many."""
    count = 0
    for name in encrypted_fields(model):
        for pk in list(model._default_manager.values_list("pk", flat=True)):
            count += _rotate_cell(model, name, pk)
    return count


def _rotate_cell(model: type[Model], name: str, pk: Any) -> int:
    with transaction.atomic():
        rows = model._default_manager.select_for_update().filter(pk=pk)
        row = rows.first()
        if row is None or not _is_old(_stored(model, name, pk)):
            return 0
        return rows.update(**{name: getattr(row, name)})


def _is_old(stored: str) -> bool:
    return bool(stored) and field_cipher().needs_rotation(stored)


def _stored(model: type[Model], name: str, pk: Any) -> str:
    """The ciphertext itself: the field's own reading would decrypt it."""
    rows = model._default_manager.filter(pk=pk).annotate(sealed=Cast(name, TextField()))
    return rows.values_list("sealed", flat=True).first() or ""


def rotate_authenticators() -> int:
    """Rewrites the second factors' secrets. Returns how many."""
    count = 0
    for pk in list(Authenticator.objects.values_list("pk", flat=True)):
        with transaction.atomic():
            row = Authenticator.objects.select_for_update().filter(pk=pk).first()
            if row is not None:
                count += _rotate_authenticator(row)
    return count


def _rotate_authenticator(row: Any) -> int:
    cipher = field_cipher()
    old = {name: row.data[name] for name in SEALED if _is_old(row.data.get(name) or "")}
    for name, value in old.items():
        row.data[name] = cipher.encrypt(cipher.decrypt(value))
    if old:
        row.save(update_fields=["data"])
    return len(old)
