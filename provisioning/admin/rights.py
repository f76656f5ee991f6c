"""Who may manage whom: nobody hands out, or takes over, a right that they do not hold (ASVS 8.2.1).

Django lets whoever may change users tick *superuser* for themselves, or set a stronger colleague's password.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User
from django.db.models import Q, QuerySet


def manageable(actor: Any) -> QuerySet[User]:
    """The users whose every right *actor* holds too; also inactive ones, who may be made active again."""
    if actor.is_superuser:
        return User.objects.all()
    held = Permission.objects.filter(Q(user=actor) | Q(group__user=actor)).values("pk")
    foreign = Permission.objects.exclude(pk__in=held)
    stronger = Q(is_superuser=True) | Q(user_permissions__in=foreign) | Q(groups__permissions__in=foreign)
    return User.objects.exclude(pk__in=User.objects.filter(stronger).values("pk"))


def may_manage(actor: Any, person: User) -> bool:
    """Whether *person* is one of those."""
    return manageable(actor).filter(pk=person.pk).exists()
