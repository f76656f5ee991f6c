"""The bridge for engine tests: one sandbox panel per test, a queue in memory."""

from collections.abc import Iterator

import pytest

from provisioning.sandbox.server import PanelSandbox
from tests.bridge import Bridge
from tests.conftest import Jobs


@pytest.fixture
def sandbox() -> Iterator[PanelSandbox]:
    """A fresh panel on a loopback port."""
    with PanelSandbox() as panel:
        yield panel


@pytest.fixture
def bridge(sandbox: PanelSandbox, jobs: Jobs, db: None) -> Bridge:
    """Rows, queue and panel together."""
    return Bridge(sandbox, jobs)
