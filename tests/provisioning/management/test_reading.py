"""How the demo's story looks: patient, and sparing with the calls that the panel allows."""

from __future__ import annotations

import pytest

from provisioning.management.demo import reading
from provisioning.management.demo.reading import PATIENCE, Reader, StepFailed
from provisioning.management.demo.rows import Cast

CAST = Cast(
    panel_url="http://127.0.0.1:1",
    panel_key="ptla_x",
    billing_url="http://127.0.0.1:2",
    webhook_url="http://127.0.0.1:3",
    secret="whsec_x",
    api_token="bb_x",
    admin_password="x",
    admin_codes=(),
)
ALLOWED_A_MINUTE = 240


class Sleeper:
    """A time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return self.now

    def sleep(self, span: float) -> None:
        """Passes at once."""
        self.now += span


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Sleeper:
    """The reader's time."""
    sleeper = Sleeper()
    monkeypatch.setattr(reading, "time", sleeper)
    return sleeper


def test_a_step_that_takes_long_leaves_the_bridge_its_calls(time: Sleeper) -> None:
    looks: list[float] = []
    with pytest.raises(StepFailed, match=f"Expected within {PATIENCE:.0f} s: a server"):
        Reader(CAST, "http://127.0.0.1:4").until("a server", lambda: looks.append(time.now))
    assert len(looks) < ALLOWED_A_MINUTE / 2
    assert looks[-1] > PATIENCE - 1


def test_what_comes_soon_is_seen_soon(time: Sleeper) -> None:
    assert Reader(CAST, "http://127.0.0.1:4").until("soon", lambda: time.now > 0.3)
    assert time.now < 0.5
