"""Where a committed change turns into a background job: one receiver per kind, and no business rule."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from provisioning import queue
from provisioning.models import Event, Notification, Service


@receiver(post_save, sender=Event, dispatch_uid="event_stored")
def event_stored(sender: type[Event], instance: Event, created: bool, **_: Any) -> None:
    """A stored event is processed."""
    if created:
        queue.enqueue_event(instance.pk)


@receiver(post_save, sender=Service, dispatch_uid="generation_raised")
def generation_raised(sender: type[Service], instance: Service, **_: Any) -> None:
    """A raised generation is reconciled."""
    if instance.generation != instance.loaded_generation:
        instance.loaded_generation = instance.generation
        queue.enqueue(queue.RECONCILE_SERVICE, instance.pk)


@receiver(post_save, sender=Notification, dispatch_uid="notification_written")
def notification_written(sender: type[Notification], instance: Notification, created: bool, **_: Any) -> None:
    """A written mail is sent."""
    if created:
        queue.enqueue(queue.SEND_NOTIFICATION, instance.pk)
