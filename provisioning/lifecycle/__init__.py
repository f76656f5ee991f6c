"""The only writers of desired state. Webhook, admin, API and command call the same functions."""
