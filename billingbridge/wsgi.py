"""WSGI entry point: `gunicorn billingbridge.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billingbridge.settings")

from billingbridge.charset import plain_charset
from billingbridge.startup import refuse_wrong_settings, report_lost_keys

refuse_wrong_settings()
application = plain_charset(get_wsgi_application())
report_lost_keys()
