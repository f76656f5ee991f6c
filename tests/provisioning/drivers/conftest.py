"""Drivers know no database: their clock is the host's, also where the suite runs on PostgreSQL."""

from collections.abc import Iterator

import pytest

from provisioning.lib import clock
from provisioning.models.clock import configure_clock


@pytest.fixture(autouse=True)
def _host_clock() -> Iterator[None]:
    clock.configure()
    yield
    configure_clock()
