"""Settings are read by type, from variables or files, and every mistake becomes one sentence."""

from pathlib import Path

import pytest

from billingbridge.env import Env, read_env_file


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("YES", True), ("1", True), ("on", True), ("false", False), ("0", False), ("", False)],
)
def test_flag_knows_the_usual_words(value: str, expected: bool) -> None:
    env = Env({"OBSERVE_ONLY": value})
    assert env.flag("OBSERVE_ONLY") is expected
    assert env.problems == []


@pytest.mark.parametrize("value", ["ture", "2", "enabled", "none", "off please"])
def test_unknown_word_is_a_problem_and_the_default_stands(value: str) -> None:
    env = Env({"OBSERVE_ONLY": value})
    assert env.flag("OBSERVE_ONLY", True) is True
    assert env.problems == ["OBSERVE_ONLY has a value that cannot be used. Write true or false."]


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "nan", "1e3"])
def test_whole_number_out_of_form_or_range(value: str) -> None:
    env = Env({"MAX_ATTEMPTS": value})
    assert env.whole("MAX_ATTEMPTS", 5, least=1) == 5
    assert "Write a whole number of at least 1." in env.problems[0]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "soon", "0.01"])
def test_number_out_of_form_or_range(value: str) -> None:
    env = Env({"TICK_SECONDS": value})
    assert env.number("TICK_SECONDS", 1, least=0.05) == 1
    assert env.problems


def test_numbers_are_read() -> None:
    env = Env({"A": "0.25", "B": " 7 "})
    assert (env.number("A", 1), env.whole("B", 1)) == (0.25, 7)


def test_a_problem_never_shows_the_value() -> None:
    env = Env({"LEASE_SECONDS": "hunter2hunter2", "TRUSTED_PROXIES": "hunter2"})
    env.whole("LEASE_SECONDS", 90)
    env.networks("TRUSTED_PROXIES")
    assert len(env.problems) == 2
    assert "hunter2" not in " ".join(env.problems)


def test_missing_required_value_says_what_to_do() -> None:
    env = Env({"PUBLIC_URL": "  "})
    assert env.required("PUBLIC_URL", "Set the address.") == ""
    assert env.problems == ["PUBLIC_URL is not set. Set the address."]


def test_secret_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    env = Env({"SECRET_KEY_FILE": str(tmp_path / "key")})
    assert env.secret_key("SECRET_KEY") == "from-a-file"
    assert env.problems == []


def test_variable_wins_over_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file")
    env = Env({"SECRET_KEY_FILE": str(tmp_path / "key"), "SECRET_KEY": "direct"})
    assert env.secret_key("SECRET_KEY") == "direct"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"])
def test_unreadable_secret_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    env = Env({"REDIS_URL_FILE": str(path)})
    assert env.text("REDIS_URL") == ""
    assert env.problems[0].startswith("REDIS_URL_FILE names a file that cannot be read")


def test_stand_in_key_is_random() -> None:
    first, second = Env({}).secret_key("SECRET_KEY"), Env({}).secret_key("SECRET_KEY")
    assert first != second
    assert len(first) >= 50


def test_lists_take_commas_and_spaces() -> None:
    env = Env({"ALLOWED_HOSTS": "a.example.com, b.example.com\nc.example.com"})
    assert env.words("ALLOWED_HOSTS") == ["a.example.com", "b.example.com", "c.example.com"]
    assert env.words("STAFF_EMAILS", ("x",)) == ["x"]


def test_networks_of_both_families() -> None:
    env = Env({"TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::1"})
    assert [str(network) for network in env.networks("TRUSTED_PROXIES")] == ["10.0.0.0/8", "2001:db8::1/128"]


def test_env_file_fills_gaps_only(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# a comment\nWORKERS=8\nHOST_NAME='Ada Hosting'\n")
    environ = {"WORKERS": "2"}
    read_env_file(tmp_path / ".env", environ)
    read_env_file(tmp_path / "absent", environ)
    assert environ == {"WORKERS": "2", "HOST_NAME": "Ada Hosting"}
