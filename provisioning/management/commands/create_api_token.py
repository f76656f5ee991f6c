"""`manage.py create_api_token USER NAME`: a token for the read API, printed once."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from provisioning.api.tokens import api_token_create, machine_user_create
from provisioning.lib import clock


class Command(BaseCommand):
    """Makes a token, and on request the machine user that it belongs to."""

    help = "Makes a token for the read API and prints it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """User, name, days."""
        parser.add_argument("user", help="User name of a machine user or a member of staff.")
        parser.add_argument("name", help="What uses the token, such as grafana.")
        parser.add_argument("--days", type=int, default=365, help="Days until it ends (365).")
        parser.add_argument("--create", action="store_true", help="Make the machine user first.")

    @transaction.atomic
    def handle(self, *args: Any, user: str, name: str, days: int, create: bool, **options: Any) -> None:
        """Prints the token on standard output and nothing else there."""
        try:
            owner = machine_user_create(username=user) if create else User.objects.get(username=user)
            ends_at = clock.now() + dt.timedelta(days=days)
            token, plain = api_token_create(user=owner, name=name, ends_at=ends_at)
        except User.DoesNotExist as error:
            raise CommandError(f"There is no user “{user}”. Add --create to make a machine user.") from error
        except (ValidationError, OverflowError) as error:
            raise CommandError(" ".join(getattr(error, "messages", ["--days is too large."]))) from error
        self.stderr.write(f"Token “{token.name}” of {user} ends on {token.ends_at:%d %B %Y}. Store it now:")
        self.stdout.write(plain)
