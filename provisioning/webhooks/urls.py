"""Addresses of the webhook edge."""

from django.urls import path

from provisioning.webhooks.views import WebhookView

# Both spellings: a redirect to the one with the slash would lose the sender's body.
urlpatterns = [
    path("<uuid:address>/", WebhookView.as_view(), name="webhook"),
    path("<uuid:address>", WebhookView.as_view(schema=None)),
]
