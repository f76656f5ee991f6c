"""What a product was from one change to the next, and how sold services follow to a newer version."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from provisioning.choices import FollowItemState, FollowState
from provisioning.models.catalogue import Panel, Product


class ProductVersion(models.Model):
    """One version of a product, never changed once saved: a service keeps the one that it was sold.

    `document` and `panel` are called as on the product, so that either can say what a server should be.
    """

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    panel = models.ForeignKey(Panel, on_delete=models.PROTECT, related_name="+")
    document = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150, blank=True, help_text="Who changed it; empty: the bridge.")
    note = models.CharField(max_length=300, blank=True, help_text="Why, in the words of who changed it.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["product", "number"], name="product_version_once")]

    def __str__(self) -> str:
        return f"version {self.number}"


class ProductFollow(models.Model):
    """The services of a product on their way to one of its versions. `next_check_at` is the one due date."""

    version = models.ForeignKey(ProductVersion, on_delete=models.CASCADE, related_name="follows")
    state = models.CharField(max_length=10, choices=FollowState, default=FollowState.RUNNING)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150, blank=True)
    finished_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="follow_due"
            )
        ]
        permissions = [("act_follow", "Can have sold services follow a changed product")]

    def __str__(self) -> str:
        return f"follow {self.version_id}"

    @property
    def running(self) -> bool:
        """Whether services are still being changed."""
        return self.state == FollowState.RUNNING


class ProductFollowItem(models.Model):
    """One service of a follow: it waits, its change was begun at some generation, or it was left as it is."""

    follow = models.ForeignKey(ProductFollow, on_delete=models.CASCADE, related_name="items")
    service = models.ForeignKey("provisioning.Service", on_delete=models.CASCADE, related_name="follow_items")
    state = models.CharField(max_length=10, choices=FollowItemState, default=FollowItemState.WAITING)
    generation = models.PositiveIntegerField(null=True, help_text="The service's own, since it was begun.")
    words = models.CharField(max_length=300, blank=True, help_text="Why it was left, or waits.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["follow", "service"], name="followed_once")]
        indexes = [models.Index(fields=["follow", "state"], name="follow_items")]

    def __str__(self) -> str:
        return f"follow {self.follow_id}, service {self.service_id}"
