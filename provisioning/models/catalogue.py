"""What can be sold and where it is made: billing connections, panels, products, grace policies."""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from provisioning.choices import ProductKind
from provisioning.drivers.registry import driver_choices
from provisioning.lib.crypto import last_four
from provisioning.lib.http import url_problem
from provisioning.models.fields import EncryptedField

KEY_RULE = RegexValidator(
    r"^[a-z][a-z0-9]{1,11}$", "Use 2 to 12 lower-case letters and digits, a letter first."
)
LANGUAGE_RULE = RegexValidator(r"^[a-z]{2}$", "Use a two-letter language code such as “en”.")


class BillingConnection(models.Model):
    """One installation of a billing system. Its key is part of every external id and never changes."""

    name = models.CharField(max_length=80, unique=True)
    key = models.CharField(
        max_length=12,
        unique=True,
        validators=[KEY_RULE],
        help_text="Short and final: it becomes part of the external id of every server.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuses a changed key: servers on panels carry it."""
        before = BillingConnection.objects.filter(pk=self.pk).values_list("key", flat=True).first()
        if before is not None and before != self.key:
            raise ValidationError({"key": f"The key stays “{before}”: servers on your panels carry it."})


class Panel(models.Model):
    """One installed control panel that we call. A panel with live services can be retired, never deleted."""

    name = models.CharField(max_length=80, unique=True)
    driver = models.CharField(max_length=30, choices=driver_choices)
    url = models.CharField("URL", max_length=255, help_text="For example https://panel.example.com")
    api_key = EncryptedField("API key")
    language = models.CharField(max_length=2, default="en", validators=[LANGUAGE_RULE])
    identity_provider = models.UUIDField(
        "identity provider",
        null=True,
        blank=True,
        help_text="The panel's id of billing as a place to sign in, where the panel has such. Blank: none.",
    )
    version = models.CharField(
        max_length=20, blank=True, help_text="As the panel's admin area shows it, for example 1.11.11."
    )
    observe_only = models.BooleanField(default=False, help_text="Look at this panel, change nothing on it.")
    retired = models.BooleanField(default=False, help_text="Takes no new servers; existing ones are kept.")
    allow_private = models.BooleanField(
        "allow a private address", default=False, help_text="Needed if the panel is in your own network."
    )
    allow_plain_http = models.BooleanField(
        "allow plain HTTP", default=False, help_text="The key would travel unencrypted. For tests only."
    )
    prefix_user_marks = models.BooleanField(
        "prefix user ids",
        default=False,
        help_text="Tick if two billing systems share this panel: user ids get the connection's key in front.",
    )
    rate_per_minute = models.PositiveIntegerField(
        "calls a minute",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Blank: nine tenths of what the panel says that it allows.",
    )
    deletes_hour_floor = models.PositiveSmallIntegerField(default=3)
    deletes_hour_percent = models.PositiveSmallIntegerField(default=5, validators=[MaxValueValidator(100)])
    deletes_day_floor = models.PositiveSmallIntegerField(default=10)
    deletes_day_percent = models.PositiveSmallIntegerField(default=10, validators=[MaxValueValidator(100)])
    creates_hour_floor = models.PositiveSmallIntegerField(default=100)
    creates_hour_percent = models.PositiveSmallIntegerField(default=20, validators=[MaxValueValidator(100)])
    creates_day_floor = models.PositiveSmallIntegerField(default=300)
    creates_day_percent = models.PositiveSmallIntegerField(default=50, validators=[MaxValueValidator(100)])
    second_person = models.BooleanField(
        "a second person releases parked deletes",
        default=False,
        help_text="Who released the brake last cannot release it again.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        permissions = [
            ("act_brake", "Can release parked deletes"),
            ("act_connect", "Can test, unpark and link accounts of panels"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def key_hint(self) -> str:
        """The key's last four characters: all that is ever shown of it."""
        return last_four(self.api_key)

    def clean(self) -> None:
        """Refuses addresses that the one HTTP door would refuse later (B17)."""
        problem = url_problem(
            self.url, allow_private=self.allow_private, allow_plain_http=self.allow_plain_http
        )
        if problem:
            raise ValidationError({"url": problem})


class GracePolicy(models.Model):
    """When an unpaid service is warned and suspended, and how long a cancelled one can be undone."""

    name = models.CharField(max_length=80, unique=True)

    class Meta:
        verbose_name_plural = "grace policies"

    def __str__(self) -> str:
        return self.name

    def current(self) -> GracePolicyVersion:
        """The version in force for what becomes overdue or ends from now on."""
        return self.versions.order_by("-number").first() or GracePolicyVersion(policy=self)


class GracePolicyVersion(models.Model):
    """One version of a policy, never changed once saved: a running grace period keeps its own."""

    policy = models.ForeignKey(GracePolicy, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(default=1)
    warn_after = models.DurationField(default=dt.timedelta(0), help_text="After the first failed payment.")
    suspend_after = models.DurationField(
        default=dt.timedelta(days=7), help_text="After the first failed payment (T83-02)."
    )
    undo_window = models.DurationField(
        default=dt.timedelta(days=7), help_text="Between the end of a service and its deletion."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="policy_version_once")]

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"


class Product(models.Model):
    """Billing's product id mapped to a panel and to the driver's own document (target, limits, runtime)."""

    connection = models.ForeignKey(BillingConnection, on_delete=models.PROTECT, related_name="products")
    billing_product_id = models.CharField(max_length=120)
    name = models.CharField(max_length=120)
    panel = models.ForeignKey(Panel, on_delete=models.PROTECT, related_name="products")
    kind = models.CharField(max_length=12, choices=ProductKind, default=ProductKind.RECURRING)
    grace_policy = models.ForeignKey(GracePolicy, on_delete=models.PROTECT, related_name="products")
    name_prefix = models.CharField(
        max_length=40, blank=True, default="Server-", help_text="Servers are named <prefix><service id>."
    )
    document = models.JSONField(default=dict, blank=True)
    flags = models.JSONField(
        default=list,
        blank=True,
        editable=False,
        help_text="What the panel's lists contradict: new orders wait for it.",
    )
    flagged_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "billing_product_id"], name="product_mapped_once")
        ]

    def __str__(self) -> str:
        return self.name
