"""One prepared database for each test process, and a stack for each test that wants one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.flows.stack import Ground, Stack

StackMaker = Callable[..., Stack]


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Ports, keys and a database with the demo's rows."""
    made = Ground.make(tmp_path_factory.mktemp("ground"))
    yield made
    made.store.drop()


@pytest.fixture
def start(ground: Ground, tmp_path: Path) -> Iterator[StackMaker]:
    """Starts the product; keywords are `Stack`'s. It ends with the test."""
    with ExitStack() as ends:
        yield lambda **options: ends.enter_context(Stack(ground, tmp_path, **options))
