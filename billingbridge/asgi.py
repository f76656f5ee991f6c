"""ASGI entry point, for servers that speak it; the project itself needs only WSGI."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billingbridge.settings")

from billingbridge.startup import refuse_wrong_settings

refuse_wrong_settings()
application = get_asgi_application()
