"""What is mailed to whom, once per stage, whatever is replayed or retried."""

from provisioning.notifications.stages import service_notify_due
from provisioning.notifications.writers import notification_write, staff_notify

__all__ = ["notification_write", "service_notify_due", "staff_notify"]
