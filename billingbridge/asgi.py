"""ASGI entry point, for servers that speak it; the project itself needs only WSGI."""

import os
from threading import Thread

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billingbridge.settings")

from billingbridge.charset import plain_charset_asgi
from billingbridge.startup import refuse_wrong_settings, report_lost_keys

refuse_wrong_settings()
application = plain_charset_asgi(get_asgi_application())
# Some servers load this inside their event loop, where the database may not be asked.
report = Thread(target=report_lost_keys)
report.start()
report.join()
