"""What is mailed to whom, once per stage, whatever is replayed or retried."""

from provisioning.notifications.writers import service_notify_due, staff_notify

__all__ = ["service_notify_due", "staff_notify"]
