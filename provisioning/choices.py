"""The closed vocabularies of the models, in the field's own terms (docs/flow.md explains each)."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class BillingStatus(models.TextChoices):
    """What billing last said of a service."""

    PENDING = "pending", _("pending")
    ACTIVE = "active", _("active")
    SUSPENDED = "suspended", _("suspended")
    CANCELLED = "cancelled", _("cancelled")


class DesiredState(models.TextChoices):
    """What a service should be. NONE: nothing was paid yet, so nothing is made and nothing is touched."""

    NONE = "none", _("nothing yet")
    PRESENT = "present", _("present")
    SUSPENDED = "suspended", _("suspended")
    ABSENT = "absent", _("absent")


class ObservedState(models.TextChoices):
    """What the panel last showed of a service's server."""

    NEVER = "never", _("never seen")
    UNKNOWN = "unknown", _("unknown")
    INSTALLING = "installing", _("installing")
    INSTALL_FAILED = "install_failed", _("install failed")
    ACTIVE = "active", _("active")
    SUSPENDED = "suspended", _("suspended")
    BUSY = "busy", _("busy")
    ABSENT = "absent", _("absent")


class SuspendReason(models.TextChoices):
    """Why a service is suspended. A payment lifts OVERDUE and nothing else."""

    OVERDUE = "overdue", _("overdue")
    ABUSE = "abuse", _("abuse")
    CHARGEBACK = "chargeback", _("chargeback")
    MANUAL = "manual", _("by staff")
    CANCELLED = "cancelled", _("cancelled")


STAFF_REASONS = (SuspendReason.ABUSE, SuspendReason.CHARGEBACK, SuspendReason.MANUAL)
"""The reasons that staff set and only staff lift."""


class EventStatus(models.TextChoices):
    """Where an event of the inbox stands."""

    RECEIVED = "received", _("received")
    PROCESSED = "processed", _("processed")
    IGNORED = "ignored", _("ignored")
    STALE = "stale", _("stale")
    HELD = "held", _("held for staff")
    REJECTED = "rejected", _("rejected")
    FAILED = "failed", _("failed")


class EventType(models.TextChoices):
    """The event types of T83-10 that have a handler; any other is kept as ignored."""

    CREATED = "subscription.created", _("subscription created")
    UPDATED = "subscription.updated", _("subscription updated")
    CANCELLED = "subscription.cancelled", _("subscription cancelled")
    PAYMENT_FAILED = "payment.failed", _("payment failed")
    PAYMENT_SUCCEEDED = "payment.succeeded", _("payment succeeded")


class OperationKind(models.TextChoices):
    """What an operation sets out to do on a panel."""

    CREATE = "create", _("create")
    SUSPEND = "suspend", _("suspend")
    UNSUSPEND = "unsuspend", _("unsuspend")
    CHANGE_PACKAGE = "change_package", _("change package")
    UPDATE = "update", _("update")
    TERMINATE = "terminate", _("terminate")
    CHECK = "check", _("check")


class Outcome(models.TextChoices):
    """How an operation stands. OPEN, WAITING and RETRYING go on by themselves; the others have ended."""

    OPEN = "open", _("open")
    WAITING = "waiting", _("waiting")
    RETRYING = "retrying", _("retrying")
    SUCCEEDED = "succeeded", _("succeeded")
    UNCHANGED = "unchanged", _("unchanged")
    FAILED = "failed", _("failed")
    NEEDS_STAFF = "needs_staff", _("needs staff")
    SUPERSEDED = "superseded", _("superseded")
    SKIPPED = "skipped", _("skipped by staff")


LIVE_OUTCOMES = (Outcome.OPEN, Outcome.WAITING, Outcome.RETRYING)
"""Outcomes of operations that the engine still works on."""


class ActorKind(models.TextChoices):
    """Who did something: every entry of a timeline names one."""

    BILLING = "billing", _("billing")
    CUSTOMER = "customer", _("customer")
    STAFF = "staff", _("staff")
    BRIDGE = "bridge", _("bridge")


class SignatureScheme(models.TextChoices):
    """How an endpoint's sender proves itself."""

    STANDARD = "standard", _("Standard Webhooks")
    HMAC_HEX = "hmac_hex", _("plain HMAC-SHA256 (hex)")


class ProductKind(models.TextChoices):
    """How a product is paid for. One-time services are never overdue (T83-24)."""

    RECURRING = "recurring", _("recurring")
    ONE_TIME = "one_time", _("one-time")


class AccountState(models.TextChoices):
    """How a customer's account on one panel stands."""

    WANTED = "wanted", _("wanted")
    LINKED = "linked", _("linked")
    HELD = "held", _("held for staff")


class DriftKind(models.TextChoices):
    """What can differ though nobody asked for it (docs/drift.md)."""

    MISSING = "missing", _("server missing")
    ORPHAN = "orphan", _("server that nobody sells")
    FOREIGN = "foreign", _("not ours")
    OWNER = "owner", _("wrong owner")
    MARK = "mark", _("wrong external id")
    LIMITS = "limits", _("wrong limits")
    STATE = "state", _("wrong state")
    ACCOUNT = "account", _("account of somebody else")
    DOUBLE = "double", _("two servers for one service")


class DriftStage(models.TextChoices):
    """Where a drift pass stands. IDLE: none is under way."""

    IDLE = "idle", _("idle")
    SERVERS = "servers", _("reading servers")
    ACCOUNTS = "accounts", _("reading accounts")
    COMPARING = "comparing", _("comparing")


class DriftOutcome(models.TextChoices):
    """How a panel's last drift pass ended. UNKNOWN: a list failed or was short, so nothing was judged."""

    NEVER = "never", _("never checked")
    COMPARED = "compared", _("compared")
    UNKNOWN = "unknown", _("unknown")


class ItemKind(models.TextChoices):
    """What a panel's lists hold that a product, or the panel's own row, chooses from (CAL-20, CAL-29)."""

    NEST = "nest", _("nest")
    EGG = "egg", _("egg")
    NODE = "node", _("node")
    LOCATION = "location", _("location")
    BACKUP_CONFIGURATION = "backup_configuration", _("backup configuration")
    OAUTH_PROVIDER = "oauth_provider", _("OAuth provider")


class SnapshotState(models.TextChoices):
    """How the newest reading of a panel's lists stands. FAILED leaves the lists of the last complete one."""

    RUNNING = "running", _("being read")
    COMPLETE = "complete", _("complete")
    FAILED = "failed", _("failed")


class FollowState(models.TextChoices):
    """How it stands with the services that follow a changed product."""

    RUNNING = "running", _("running")
    STOPPED = "stopped", _("stopped")
    DONE = "done", _("done")


class FollowItemState(models.TextChoices):
    """How it stands with one of them. What became of a begun one is read off the service itself."""

    WAITING = "waiting", _("waiting")
    BEGUN = "begun", _("begun")
    LEFT = "left", _("left as it is")


class TrialStep(models.TextChoices):
    """What *Try it* does with its test server, in this order."""

    CREATE = "create", _("create")
    INSTALL = "install", _("wait for the install")
    SUSPEND = "suspend", _("suspend")
    UNSUSPEND = "unsuspend", _("unsuspend")
    RESIZE = "resize", _("resize")
    DELETE = "delete", _("delete")


class TrialOutcome(models.TextChoices):
    """How a trial stands. LEFT: staff skipped its clean-up, so nothing proves that its server is gone."""

    RUNNING = "running", _("running")
    PASSED = "passed", _("passed")
    FAILED = "failed", _("failed")
    LEFT = "left", _("not cleaned up")


class Resource(models.TextChoices):
    """The resources that entitlements add and pins fix; units: MiB, percent of a thread, count."""

    MEMORY = "memory", _("memory (MiB)")
    SWAP = "swap", _("swap (MiB)")
    DISK = "disk", _("disk (MiB)")
    CPU = "cpu", _("CPU (% of a thread)")
    IO = "io", _("IO weight")
    DATABASES = "databases", _("databases")
    ALLOCATIONS = "allocations", _("allocations")
    BACKUPS = "backups", _("backups")
