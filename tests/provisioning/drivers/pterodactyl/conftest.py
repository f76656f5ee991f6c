"""One fresh panel for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.drivers.pterodactyl.bench import Bench, bench


@pytest.fixture
def panel() -> Iterator[PanelSandbox]:
    """A stock panel with a location, two nodes and free ports."""
    with PanelSandbox() as running:
        yield running


@pytest.fixture
def work(panel: PanelSandbox) -> Bench:
    """A driver on that panel."""
    return bench(panel)
