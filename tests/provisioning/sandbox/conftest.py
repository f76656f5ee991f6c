"""A running sandbox panel and a client that speaks to it."""

from collections.abc import Iterator

import pytest

from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.sandbox.client import Api


@pytest.fixture
def panel() -> Iterator[PanelSandbox]:
    """A fresh panel with two nodes; installs end at the next look."""
    with PanelSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(panel: PanelSandbox) -> Iterator[Api]:
    """Calls with the application key."""
    with Api(panel.url, panel.application_key) as client:
        yield client


@pytest.fixture
def client(panel: PanelSandbox) -> Iterator[Api]:
    """Calls with the administrator's client key."""
    with Api(panel.url, panel.client_key) as caller:
        yield caller
