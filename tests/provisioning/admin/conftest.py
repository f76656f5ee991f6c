"""What all tests of staff pages get: a queue that only remembers."""

import pytest

from tests.conftest import Jobs


@pytest.fixture(autouse=True)
def _jobs(jobs: Jobs) -> Jobs:
    """No page of staff waits for a worker."""
    return jobs
