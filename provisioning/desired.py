"""Desired = product + choices + entitlements + pins, computed in this one place (DESIGN rule 5).

Of a product it is the version that the service was sold: a change of the product alone changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from provisioning.choices import DesiredState, Resource
from provisioning.drivers import registry
from provisioning.drivers.types import Desired, Runtime, Wanted
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.lib.names import clean_server_name
from provisioning.models import Entitlement, PanelAccount, Product, ProductVersion, Service

UNLIMITED = {Resource.MEMORY: 0, Resource.DISK: 0, Resource.CPU: 0, Resource.SWAP: -1}
"""The value that a panel reads as *no limit*: adding to it keeps it."""


def limits_total(
    base: Mapping[str, int], grants: Iterable[tuple[str, int]], pins: Mapping[str, int]
) -> dict[str, int]:
    """Base plus grants, a pin winning over both. Units as in `choices.Resource`; never below zero."""
    totals = dict(base)
    for resource, amount in grants:
        if resource in totals and totals[resource] != UNLIMITED.get(Resource(resource)):
            totals[resource] = max(0, totals[resource] + amount)
    return {**totals, **{name: value for name, value in pins.items() if name in totals}}


def active_grants(service: Service, now: dt.datetime) -> list[tuple[str, int]]:
    """The entitlements in force, as (resource, amount)."""
    return [(row.resource, row.amount) for row in service.entitlements.all() if _in_force(row, now)]


def _in_force(row: Entitlement, now: dt.datetime) -> bool:
    return row.starts_at <= now and (row.ends_at is None or row.ends_at > now)


def service_limits(service: Service, sold: Product | ProductVersion) -> dict[str, int]:
    """The limits that the service's server should have now, of what it was sold."""
    pins = {pin.resource: pin.value for pin in service.pins.all()}
    base = {name: value for name, value in (sold.document.get("limits") or {}).items() if _is_number(value)}
    return limits_total(base, active_grants(service, clock.now()), pins)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def server_name(service: Service) -> str:
    """The customer's own name, cleaned and cut (CAL-30), else `<prefix><billing service id>` (CAL-26).

    A test server of *Try it* says so on the panel.
    """
    if service.is_trial:
        return clean_server_name(f"TEST {service.billing_id}")
    own = clean_server_name(str(service.properties.get("server_name", "")))
    # A customer's name that the panel would refuse must not stop an order.
    fits = own and len(own) >= _shortest_name(service)
    return own if fits else clean_server_name(f"{service.name_prefix}{service.billing_id}", 191)


def _shortest_name(service: Service) -> int:
    return registry.get(service.sold.panel.driver).shortest_name if service.sold else 1


def chosen_variables(service: Service, document: Mapping[str, Any]) -> dict[str, str]:
    """The egg variables of the product, and those that it lets the customer choose (CAL-30).

    A payload is the attacker's: only names that the product lists reach the panel (CVE-2026-47198).
    """
    variables = dict((document.get("runtime") or {}).get("variables") or {})
    listed = {str(name).upper() for name in (document.get("runtime") or {}).get("customer_variables") or ()}
    chosen = {key.upper(): str(value) for key, value in service.properties.items()}
    return variables | {key: value for key, value in chosen.items() if key in listed}


def build(service: Service, account: PanelAccount | None) -> Desired:
    """All that the service's server should be now. Raises PanelWaiting while the product is not mapped.

    To stop or to end, no product is needed; one that is mapped to another panel says nothing of this server.
    """
    sold = service.sold
    elsewhere = sold is not None and service.panel_id not in (None, sold.panel_id)
    if service.desired_state != DesiredState.PRESENT and (sold is None or elsewhere):
        return _without_product(service, account)
    if sold is None:
        raise PanelWaiting(
            f"No product is mapped to billing's “{service.billing_product_id}”. "
            "Add it under Products: this order then goes on by itself.",
            reason="product_unmapped",
        )
    document = sold.document
    runtime = document.get("runtime") or {}
    return Desired(
        state=_wanted(service),
        mark=service.external_id,
        name=server_name(service),
        owner=account.panel_user_id if account else "",
        target=document.get("target") or {},
        limits=service_limits(service, sold),
        runtime=Runtime(
            runtime.get("image") or "", runtime.get("startup") or "", chosen_variables(service, document)
        ),
        options=document.get("options") or {},
        pinned=service.pinned,
        runtime_applied=service.runtime_applied,
        set_mark=service.adopted_at is not None and not service.observed.get("mark"),
    )


def _without_product(service: Service, account: PanelAccount | None) -> Desired:
    return Desired(
        state=_wanted(service),
        mark=service.external_id,
        name=server_name(service),
        owner=account.panel_user_id if account else "",
        target={},
        limits={},
        runtime=Runtime(),
    )


def _wanted(service: Service) -> Wanted:
    state = DesiredState(service.desired_state)
    return Wanted.SUSPENDED if state is DesiredState.NONE else Wanted(state.value)
