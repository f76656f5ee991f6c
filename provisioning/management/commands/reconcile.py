"""`manage.py reconcile`: what would be done on panels, with checksums; or exactly one such plan, done."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from provisioning import audit
from provisioning.choices import ActorKind
from provisioning.exceptions import BillingBridgeError
from provisioning.models import Panel, Service
from provisioning.reconcile.drift_plans import plans_of
from provisioning.reconcile.preview import NOTHING, Preview, apply_reviewed, preview


class Command(BaseCommand):
    """Prints plans, or applies one that was reviewed."""

    help = "Shows what would be done on the panels (--dry-run), or applies one reviewed plan (--apply)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One of the two modes has to be named: nothing is changed by a forgotten option."""
        mode = parser.add_mutually_exclusive_group(required=True)
        mode.add_argument("--dry-run", action="store_true", help="Print each plan. Changes nothing.")
        mode.add_argument("--apply", metavar="CHECKSUM", help="Carry out the plan of that checksum.")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--service", metavar="ID", help="A billing service id, or connection:id.")
        which.add_argument("--panel", metavar="NAME", help="Only the services of that panel.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError for a service or panel that is not there, and for a plan that has changed."""
        if options["apply"]:
            self._apply(options["service"], options["apply"])
        elif options["service"]:
            service = _service(options["service"])
            self._show(service, preview(service))
        else:
            for panel in _panels(options["panel"]):
                self._panel(panel)

    def _apply(self, ident: str | None, checksum: str) -> None:
        if not ident:
            raise CommandError("Name the service whose plan is to be applied: --service ID.")
        try:
            with audit.acting_as(ActorKind.STAFF, "manage.py reconcile"):
                self.stdout.write(apply_reviewed(_service(ident), checksum))
        except BillingBridgeError as error:
            raise CommandError(error.detail) from error

    def _panel(self, panel: Panel) -> None:
        self.stdout.write(f"Panel {panel}")
        services = differing = 0
        try:
            for service, shown in plans_of(panel):
                services += 1
                if shown.checksum != NOTHING or shown.problem:
                    differing += 1
                    self._show(service, shown)
        except BillingBridgeError as error:
            self.stdout.write(f"  unknown: {error.detail}")
            return
        self.stdout.write(f"  {services} services, {differing} with something to do or to look at")

    def _show(self, service: Service, shown: Preview) -> None:
        self.stdout.write(f"  {service.connection.key}:{service.billing_id} {service} {shown.checksum}")
        lines = [*shown.lines, *shown.notes, *([f"! {shown.problem}"] if shown.problem else [])]
        for line in lines:
            self.stdout.write(f"    {line}")


def _panels(name: str | None) -> list[Panel]:
    rows = Panel.objects.order_by("name")
    found = list(rows.filter(name=name) if name else rows)
    if name and not found:
        raise CommandError(f"There is no panel “{name}”.")
    return found


def _service(ident: str) -> Service:
    key, _, billing_id = ident.rpartition(":")
    rows = Service.objects.filter(billing_id=billing_id).select_related(
        "product__panel", "product_version__panel", "panel", "customer", "connection"
    )
    found = list(rows.filter(connection__key=key) if key else rows)
    if not found:
        raise CommandError(f"There is no service “{ident}”.")
    if len(found) > 1:
        names = ", ".join(f"{row.connection.key}:{row.billing_id}" for row in found)
        raise CommandError(f"Several services have that id. Name one: {names}.")
    return found[0]
