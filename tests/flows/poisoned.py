"""Settings under which one service kills every worker that touches it, and a host whose clock is wrong.

Named by DJANGO_SETTINGS_MODULE for processes of a stack. `TEST_CLOCK_AHEAD` (seconds) sets this process's own
clock ahead, as on a host without time service.
"""

from __future__ import annotations

import os
import time

AHEAD = float(os.environ.get("TEST_CLOCK_AHEAD", "0"))
if AHEAD:
    _real = time.time
    time.time = lambda: _real() + AHEAD

from billingbridge.settings import *  # noqa: E402, F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.flows.poison.Poison"]  # noqa: F405
