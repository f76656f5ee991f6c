"""Settings are read by type, from variables or files, and every mistake becomes one sentence."""

from pathlib import Path

import pytest

from billingbridge.env import FIRST_STEP, Env, env_load, read_env_file


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
    assert read_env_file(tmp_path / ".env", environ)
    assert not read_env_file(tmp_path / "absent", environ)
    assert environ == {"WORKERS": "2", "HOST_NAME": "Ada Hosting"}


@pytest.mark.parametrize("content", [None, b"WORKERS=\xff"])
def test_an_env_file_that_is_named_must_be_readable(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bridge.env"
    if content:
        path.write_bytes(content)
    problems = ["ENV_FILE names a file that cannot be read as text. Check its path and its permissions."]
    assert env_load({"ENV_FILE": str(path)}, tmp_path / ".env").problems == problems


def test_the_file_beside_the_project_may_be_missing_but_not_broken(tmp_path: Path) -> None:
    assert env_load({}, tmp_path / ".env").problems == []
    (tmp_path / ".env").write_bytes(b"WORKERS=\xff")
    assert ".env cannot be read as text." in env_load({}, tmp_path / ".env").problems[0]
    assert env_load({"ENV_FILE": ""}, tmp_path / ".env").problems == []


@pytest.mark.parametrize(
    ("environ", "first"),
    [({}, True), ({"ENV_FILE": ""}, False), ({"PUBLIC_URL": "https://bridge.example.com"}, False)],
)
def test_who_has_set_nothing_up_hears_first_how_to_begin(
    tmp_path: Path, environ: dict[str, str], first: bool
) -> None:
    env = env_load(environ, tmp_path / ".env")
    env.required("PUBLIC_URL", "Set the address.")
    env.required_words("FIELD_KEYS", "Set one key or more.")
    env.begin_with_the_file()
    assert (env.problems[0] == FIRST_STEP) is first


def test_a_choice_is_one_of_its_words() -> None:
    env = Env({"LOG_LEVEL": "warning", "OTHER": "loud"})
    assert env.choice("LOG_LEVEL", "INFO", ("INFO", "WARNING")) == "WARNING"
    assert env.choice("OTHER", "INFO", ("INFO", "WARNING")) == "INFO"
    assert env.problems == ["OTHER has a value that cannot be used. Write one of INFO, WARNING."]


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    env = Env({"VAR_DIR": str(tmp_path / "new" / "var")})
    assert env.folder("VAR_DIR", tmp_path).stat().st_mode & 0o777 == 0o700
    assert env.problems == []


def test_a_folder_that_is_a_file_or_below_one_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "var"):
        env = Env({"VAR_DIR": str(path)})
        assert env.folder("VAR_DIR", tmp_path) == path
        assert env.problems[0].startswith("VAR_DIR is not a folder and cannot be made one (")


@pytest.mark.parametrize(
    "url", ["redis://:p@127.0.0.1:6379/0", "rediss://cache.example.com", "unix:///run/redis.sock", ""]
)
def test_addresses_of_redis_are_taken(url: str) -> None:
    env = Env({"REDIS_URL": url})
    assert env.redis("REDIS_URL") == url
    assert env.problems == []


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:6379", "http://cache.example.com", "redis://", "redis://cache:port/0", "redis://cache:0"],
)
def test_what_is_no_address_of_redis_is_a_problem(url: str) -> None:
    env = Env({"REDIS_URL": url})
    assert env.redis("REDIS_URL") == ""
    assert [problem.partition(" Write")[0] for problem in env.problems] == [
        "REDIS_URL has a value that cannot be used."
    ]
