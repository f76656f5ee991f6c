"""The shapes of the edge for the OpenAPI document; nothing is parsed with them (bar E: bytes first)."""

from rest_framework import serializers

from provisioning.choices import BillingStatus


class PayloadSerializer(serializers.Serializer[None]):
    """The billing event of T83-11 with its optional fields."""

    event = serializers.CharField(help_text="Such as subscription.created.")
    subscription_id = serializers.CharField()
    customer_email = serializers.EmailField(required=False)
    product_id = serializers.CharField(required=False)
    tier = serializers.CharField(required=False)
    status = serializers.ChoiceField(BillingStatus.choices, required=False)
    customer_id = serializers.CharField(required=False)
    first_name = serializers.CharField(required=False)
    last_name = serializers.CharField(required=False)
    email_verified = serializers.BooleanField(required=False)
    occurred_at = serializers.DateTimeField(required=False, help_text="With its zone.")
    sequence = serializers.IntegerField(required=False)
    paid_until = serializers.DateTimeField(required=False)
    properties = serializers.DictField(required=False)


class StoredSerializer(serializers.Serializer[None]):
    """The message is kept under this id."""

    event = serializers.CharField()
    status = serializers.CharField(help_text="accepted, or duplicate.")


class RefusalDetailSerializer(serializers.Serializer[None]):
    """A stable code, and a sentence that says what to do."""

    code = serializers.CharField()
    message = serializers.CharField()


class RefusalSerializer(serializers.Serializer[None]):
    """The message was not taken."""

    error = RefusalDetailSerializer()
