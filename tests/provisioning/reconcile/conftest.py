"""The bridge for engine tests: one sandbox panel per test, a queue in memory."""

from collections.abc import Iterator

import pytest

from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.server import PanelSandbox
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.reconcile import calagopus


@pytest.fixture
def sandbox() -> Iterator[PanelSandbox]:
    """A fresh panel on a loopback port."""
    with PanelSandbox() as panel:
        yield panel


@pytest.fixture
def bridge(sandbox: PanelSandbox, jobs: Jobs, db: None) -> Bridge:
    """Rows, queue and panel together."""
    return Bridge(sandbox, jobs)


@pytest.fixture(params=["pterodactyl", "calagopus"])
def both(request: pytest.FixtureRequest, jobs: Jobs, db: None) -> Iterator[Bridge]:
    """A bridge with either panel behind it."""
    if request.param == "pterodactyl":
        with PanelSandbox() as panel:
            yield Bridge(panel, jobs)
    else:
        with CalagopusSandbox() as other:
            yield calagopus.CalagopusBridge(other, jobs)
