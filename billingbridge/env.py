"""Typed reading of the environment.

Reading never raises. A wrong value is noted as one sentence in `Env.problems`, and a harmless default is
used in its place, so that one start reports everything that is wrong. The system check
`billingbridge.E001` shows each sentence and refuses to start; so do wsgi.py and asgi.py.
A problem names the variable, never its value: a value may be a secret in the wrong place.
"""

import io
import os
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
Network = IPv4Network | IPv6Network

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})
REDIS_SCHEMES = ("redis", "rediss", "unix")
FIRST_STEP = ".env does not exist yet. Run `cp .env.example .env`, and put the lines of `make keys` into it."


def read_env_file(path: Path, into: MutableMapping[str, str]) -> bool:
    """Add the variables of a `.env` file to *into*; what is set there already wins. False if unreadable."""
    try:
        content = io.StringIO(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return False
    environ.Env.ENVIRON = into
    try:
        environ.Env.read_env(content)
    finally:
        environ.Env.ENVIRON = os.environ
    return True


class Env:
    """The environment, read by name and type, with the problems found on the way.

    Every variable can come from a file instead: `NAME_FILE=/run/secrets/name` is read where `NAME` is not
    set, as container platforms hand over secrets. `names` collects what was asked for, so that a test can
    hold the documentation to it.
    """

    def __init__(self, environ_: Mapping[str, str]) -> None:
        self._environ = environ_
        self.problems: list[str] = []
        self.names: list[str] = []
        self.missing: list[str] = []
        self.without_file = False

    def raw(self, name: str) -> str | None:
        """The stripped value of *name*, or of the file that `<name>_FILE` points to, or None if unset."""
        self.names.append(name)
        if name in self._environ:
            return self._environ[name].strip()
        path = self._environ.get(f"{name}_FILE", "").strip()
        return self._file(name, path) if path else None

    def _file(self, name: str, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            self.problems.append(
                f"{name}_FILE names a file that cannot be read as text. Check its path and its permissions."
            )
            return None

    def _read(self, name: str, default: T, convert: Callable[[str], T], advice: str) -> T:
        value = self.raw(name)
        if not value:
            return default
        try:
            return convert(value)
        except (ValueError, ImproperlyConfigured):
            self.problems.append(f"{name} has a value that cannot be used. {advice}")
            return default

    def text(self, name: str, default: str = "") -> str:
        """A line of text."""
        return self.raw(name) or default

    def required(self, name: str, advice: str, *, fallback: str = "") -> str:
        """A line of text without a default: its absence is a problem, and *advice* says what to do."""
        value = self.raw(name)
        if not value:
            self.missing.append(name)
            self.problems.append(f"{name} is not set. {advice}")
            return fallback
        return value

    def secret_key(self, name: str) -> str:
        """Django's signing key. Without one, a random key stands in until the check refuses."""
        advice = "Set it to a random text of 50 characters or more; `make keys` prints one."
        return self.required(name, advice, fallback=secrets.token_urlsafe(50))

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes or no. A word that is neither is a problem and never silently *no*."""
        return self._read(name, default, _flag, "Write true or false.")

    def choice(self, name: str, default: str, words: tuple[str, ...]) -> str:
        """One of *words*, which are in capitals; small letters are as good."""
        advice = f"Write one of {', '.join(words)}."
        return self._read(name, default, lambda value: _one_of(value.upper(), words), advice)

    def whole(self, name: str, default: int, *, least: int = 0) -> int:
        """A whole number of at least *least*."""
        advice = f"Write a whole number of at least {least}."
        return self._read(name, default, lambda value: _at_least(int(value), least), advice)

    def number(self, name: str, default: float, *, least: float = 0.0) -> float:
        """A number (seconds may be broken) of at least *least*."""
        advice = f"Write a number of at least {least:g}."
        return self._read(name, default, lambda value: _at_least(_finite(value), least), advice)

    def words(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        """A list, separated by commas or white space."""
        value = self.raw(name)
        return value.replace(",", " ").split() if value else list(default)

    def required_words(self, name: str, advice: str) -> list[str]:
        """A list that must not be empty; *advice* says what to write."""
        return self.required(name, advice).replace(",", " ").split()

    def networks(self, name: str) -> list[Network]:
        """IPv4 and IPv6 networks, or single addresses."""
        advice = "Write networks such as 10.0.0.0/8 or 2001:db8::/32, separated by commas."
        return self._read(name, [], _networks, advice)

    def url(
        self, name: str, default: dict[str, Any], parse: Callable[[str], dict[str, Any]]
    ) -> dict[str, Any]:
        """A service given as a URL, taken apart by *parse*, which raises ValueError for a wrong one."""
        return self._read(name, default, parse, "See docs/settings.md for the forms of this URL.")

    def redis(self, name: str) -> str:
        """The address of a Redis server, or nothing."""
        hint = "Write redis://:password@host:6379/0, or rediss:// for TLS."
        return str(self._read(name, "", _redis_address, hint))

    def folder(self, name: str, default: Path) -> Path:
        """A folder. A missing one is made, for its owner alone; one that cannot be made is a problem."""
        path = Path(self.text(name, str(default)))
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            self.problems.append(
                f"{name} is not a folder and cannot be made one ({error.strerror}). "
                "Write the path of a folder that this user may write to."
            )
        return path

    def begin_with_the_file(self) -> None:
        """Where nothing has been set up yet, make how to begin the first of the problems."""
        if self.without_file and len(self.missing) > 1:
            self.problems.insert(0, FIRST_STEP)


def env_load(environ_: MutableMapping[str, str], default: Path) -> Env:
    """Return the environment, filled up from the file that ENV_FILE names, else from *default*.

    An empty ENV_FILE means: the environment alone. The demo and the tests use that.
    """
    env = Env(environ_)
    env.names.append("ENV_FILE")
    named = environ_.get("ENV_FILE")
    if named == "" or read_env_file(Path(named or default), environ_):
        return env
    if named or default.exists():
        which = "ENV_FILE names a file that" if named else ".env"
        env.problems.append(f"{which} cannot be read as text. Check its path and its permissions.")
    env.without_file = not named
    return env


def _redis_address(value: str) -> str:
    parts = urlsplit(value)
    place = parts.path if parts.scheme == "unix" else parts.hostname
    # Reading a port that is no number raises ValueError itself.
    if parts.scheme not in REDIS_SCHEMES or not place or parts.port == 0:
        raise ValueError(value)
    return value


def _flag(value: str) -> bool:
    word = value.lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(word)
    return word in TRUE_WORDS


def _one_of(value: str, words: tuple[str, ...]) -> str:
    if value not in words:
        raise ValueError(value)
    return value


def _finite(value: str) -> float:
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(value)
    return number


def _at_least(number: Any, least: float) -> Any:
    if number < least:
        raise ValueError(number)
    return number


def _networks(value: str) -> list[Network]:
    return [ip_network(word, strict=False) for word in value.replace(",", " ").split()]
