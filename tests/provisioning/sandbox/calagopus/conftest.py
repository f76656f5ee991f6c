"""A running sandbox Calagopus and a client with its administrator's key."""

from collections.abc import Iterator

import pytest

from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.provisioning.sandbox.client import Api


@pytest.fixture
def panel() -> Iterator[CalagopusSandbox]:
    """A fresh panel with two nodes; installs end at the next look."""
    with CalagopusSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(panel: CalagopusSandbox) -> Iterator[Api]:
    """Calls with the key of the administrator."""
    with Api(panel.url, panel.application_key) as client:
        yield client
