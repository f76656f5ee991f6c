"""The rate limit by address, keys that are believed for five seconds, and limits of extensions."""

import pytest
import requests

from provisioning.sandbox.calagopus.errors import PanelError
from provisioning.sandbox.calagopus.rows import ApiKey
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.calagopus.throttle import Throttle
from provisioning.sandbox.calagopus.world import Settings, World, new_key
from tests.provisioning.sandbox.calagopus.calling import FEATURES, SERVERS, errors, make_server, server_body
from tests.provisioning.sandbox.client import Api

HERE, THERE = "127.0.0.1", "127.0.0.2"
LOCATIONS = "/api/admin/locations"


class Clocked:
    """A limiter whose clock only moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, redis: bool, limit: int = 360) -> None:
        self.now = 1000.0
        world = World(Settings(rate_limit=limit, rate_redis=redis))
        monkeypatch.setattr(world, "time", lambda: self.now)
        self.throttle = Throttle(world)

    def passes(self, address: str = HERE) -> bool:
        """Whether a call gets through."""
        try:
            self.throttle.hit(address)
        except PanelError:
            return False
        return True

    def at(self, second: float, count: int = 1) -> int:
        """How many of so many calls at that second get through."""
        self.now = 1000.0 + second
        return sum(self.passes() for _ in range(count))


@pytest.mark.parametrize("redis", [False, True])
def test_the_360th_call_of_a_window_is_the_first_to_fail(
    monkeypatch: pytest.MonkeyPatch, redis: bool
) -> None:
    limiter = Clocked(monkeypatch, redis=redis)
    assert limiter.at(0, 400) == 359
    assert limiter.at(29) == 0
    assert limiter.passes(THERE), "each address has a window of its own"
    assert limiter.at(31 if not redis else 61) == 1


def test_without_redis_a_hit_at_the_end_begins_a_new_window(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = Clocked(monkeypatch, redis=False)
    assert (limiter.at(0, 300), limiter.at(28.5, 300)) == (300, 300)


def test_with_redis_a_hit_at_the_end_keeps_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = Clocked(monkeypatch, redis=True)
    assert (limiter.at(0, 300), limiter.at(28.5, 300)) == (300, 59)
    assert limiter.at(45) == 0, "the window was made 30 seconds longer"
    assert limiter.at(61) == 1


@pytest.mark.parametrize(
    ("every", "banned"), [(1.0, True), (2.0, True), (2.5, False)], ids=["1 s", "2 s", "2.5 s"]
)
def test_with_redis_steady_calls_are_banned_but_slow_ones_never(
    monkeypatch: pytest.MonkeyPatch, every: float, banned: bool
) -> None:
    limiter = Clocked(monkeypatch, redis=True)
    passed = [limiter.at(number * every) for number in range(800)]
    assert (0 in passed) is banned


def test_silence_over_the_end_of_a_window_resets_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = Clocked(monkeypatch, redis=True)
    for window in range(4):
        begun = window * 31.0
        assert limiter.at(begun, 150) + limiter.at(begun + 27, 150) == 300


def test_calls_while_limited_count_with_redis_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for redis, free in ((False, 1), (True, 0)):
        limiter = Clocked(monkeypatch, redis=redis, limit=5)
        limiter.at(0, 5)
        assert limiter.at(29, 3) == 0
        assert limiter.at(31) == free


def test_wrong_keys_count_and_the_answer_says_when_to_come_back(panel: CalagopusSandbox, api: Api) -> None:
    panel.settings.rate_limit = 3
    assert requests.get(panel.url + LOCATIONS, timeout=5).status_code == 401
    assert api("GET", LOCATIONS).status_code == 200
    answer = api("GET", "/api/client/account")
    assert answer.status_code == 429
    assert 28 <= int(answer.headers["retry-after"]) <= 30
    assert errors(answer) == [f"you are ratelimited, retry in {answer.headers['retry-after']}s"]
    assert api("GET", "/api/languages").status_code == 200


def test_windows_can_be_used_up_by_command(panel: CalagopusSandbox, api: Api) -> None:
    api.control("POST", "/throttle", {"exhausted": True})
    assert api("GET", LOCATIONS).status_code == 429
    api.control("POST", "/throttle", {"exhausted": False})
    assert api("GET", LOCATIONS).status_code == 200


def add_key(panel: CalagopusSandbox, **changes: object) -> ApiKey:
    """A key of the administrator that may only read locations."""
    admin = next(iter(panel.state.users))
    row = ApiKey(*panel.world.stamp(), admin, "few", new_key(), [], ["locations.read"], [])
    for name, value in changes.items():
        setattr(row, name, value)
    panel.state.keys[row.uuid] = row
    return row


def test_a_key_works_for_five_seconds_after_its_end(panel: CalagopusSandbox) -> None:
    row = add_key(panel, expires=panel.world.time() + 2)
    with Api(panel.url, row.token) as api:
        assert api("GET", LOCATIONS).status_code == 200
        panel.advance(4)
        assert api("GET", LOCATIONS).status_code == 200
        panel.advance(2)
        assert errors(api("GET", LOCATIONS)) == ["invalid api key"]


def test_a_key_is_bound_to_its_networks_and_lists(panel: CalagopusSandbox) -> None:
    elsewhere, few = add_key(panel, allowed_ips=["203.0.113.0/24"]), add_key(panel)
    with Api(panel.url, elsewhere.token) as api:
        assert errors(api("GET", LOCATIONS)) == ["ip address not allowed for this api key"]
    with Api(panel.url, few.token) as api:
        assert api("GET", LOCATIONS).status_code == 200
        denied = "you do not have permission to perform this action: users.read"
        assert errors(api("GET", "/api/admin/users")) == [denied]


def test_unknown_feature_limits_are_dropped_without_a_word(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api, feature_limits={**FEATURES, "slots": 5})
    assert server.feature_limits == FEATURES


def test_an_extension_keeps_its_limits_and_may_demand_them(panel: CalagopusSandbox, api: Api) -> None:
    api.control("POST", "/settings", {"extension_limits": ["slots"]})
    server = make_server(panel, api, feature_limits={**FEATURES, "slots": 5})
    assert server.feature_limits == {**FEATURES, "slots": 5}
    api.control("POST", "/settings", {"extension_required": True})
    answer = api("POST", SERVERS, server_body(panel))
    assert answer.status_code == 400
    assert errors(answer)[0].startswith("feature_limits.__overlay: failed to deserialize extension")
    assert len(panel.state.servers) == 1
