"""Staff's pages: one file per model group. Nothing here changes a panel; writers do, jobs carry it out."""

from provisioning.admin import (
    catalogue,
    changes,
    customers,
    drift,
    endpoints,
    events,
    machines,
    operations,
    panels,
    products,
    services,
)

__all__ = [
    "catalogue",
    "changes",
    "customers",
    "drift",
    "endpoints",
    "events",
    "machines",
    "operations",
    "panels",
    "products",
    "services",
]
