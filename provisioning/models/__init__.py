"""The tables. Truth lives here; the queue only wakes workers (DESIGN section 2)."""

from provisioning.models.catalogue import BillingConnection, GracePolicy, GracePolicyVersion, Panel, Product
from provisioning.models.customers import Customer, PanelAccount
from provisioning.models.drift import Drift, DriftPage, DriftPass
from provisioning.models.inbox import EndpointSecret, Event, WebhookEndpoint
from provisioning.models.installation import Heartbeat, Installation
from provisioning.models.lists import PanelItem, PanelListPage, PanelSnapshot
from provisioning.models.machines import ApiToken
from provisioning.models.operations import (
    AuditEntry,
    BrakeGrant,
    CreateGrant,
    DeleteGrant,
    LaterCheck,
    Notification,
    Operation,
    PanelCall,
)
from provisioning.models.panels import AllocationHold, PanelGate, PanelMemory, PanelWindow
from provisioning.models.service import Entitlement, Pin, Service, Suspension
from provisioning.models.trials import ProductTrial, ProductTrialStep
from provisioning.models.versions import ProductFollow, ProductFollowItem, ProductVersion

__all__ = [
    "AllocationHold",
    "ApiToken",
    "AuditEntry",
    "BillingConnection",
    "BrakeGrant",
    "CreateGrant",
    "Customer",
    "DeleteGrant",
    "Drift",
    "DriftPage",
    "DriftPass",
    "EndpointSecret",
    "Entitlement",
    "Event",
    "GracePolicy",
    "GracePolicyVersion",
    "Heartbeat",
    "Installation",
    "LaterCheck",
    "Notification",
    "Operation",
    "Panel",
    "PanelAccount",
    "PanelCall",
    "PanelGate",
    "PanelItem",
    "PanelListPage",
    "PanelMemory",
    "PanelSnapshot",
    "PanelWindow",
    "Pin",
    "Product",
    "ProductFollow",
    "ProductFollowItem",
    "ProductTrial",
    "ProductTrialStep",
    "ProductVersion",
    "Service",
    "Suspension",
    "WebhookEndpoint",
]
