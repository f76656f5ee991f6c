"""One fresh panel for each test; a request that its OpenAPI document does not know fails the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.contract.openapi import watch
from tests.provisioning.drivers.calagopus.bench import Bench, bench


@pytest.fixture
def panel() -> Iterator[CalagopusSandbox]:
    """A stock panel with a location, two nodes and free ports."""
    with CalagopusSandbox() as running:
        problems = watch(running)
        yield running
        assert problems == []


@pytest.fixture
def work(panel: CalagopusSandbox) -> Bench:
    """A driver on that panel."""
    return bench(panel)
