"""A private PostgreSQL and Redis for tests and trials: own ports, own data, gone when stopped.

Usage: python -m tools.services start | stop
`start` prints the environment variables that lead to them (`eval "$(make -s services)"` takes them over);
it starts nothing twice. PostgreSQL trades durability for speed here: these are not for real data.
"""

import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATE = Path(__file__).resolve().parent.parent / "var" / "services.json"
START_SECONDS = 30
STOP_SECONDS = 20
USER = "billingbridge"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def program(name: str) -> str:
    """The full path of a program, also where Debian hides PostgreSQL's; SystemExit if it is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(debian[-1]) if debian else "")
    if not found:
        raise SystemExit(f"{name} is not installed. On Debian: apt install postgresql redis-server.")
    return found


def owner() -> str | None:
    """PostgreSQL refuses to run as root, so root lends it another user."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def run(argv: list[str], user: str | None) -> None:
    """Run to the end, quietly; its words are shown if it fails."""
    done = subprocess.run(argv, user=user, capture_output=True, text=True, cwd="/", check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed:\n{done.stdout}{done.stderr}")


def spawn(argv: list[str], user: str | None, log: Path) -> int:
    """Start a server that outlives this script; returns its pid."""
    with log.open("ab") as output:
        server = subprocess.Popen(  # noqa: S603
            argv,
            user=user,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    return server.pid


def wait_for(port: int, log: Path) -> None:
    """Wait until somebody answers there; SystemExit with the log's end if nobody does."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"No answer on port {port}:\n{log.read_text()[-2000:]}")


def start_postgres(home: Path, password: str, *, durable: bool = False) -> tuple[int, str]:
    """A new cluster in *home*; returns its pid and its URL. A durable one waits for the disk."""
    user, data, port, log = owner(), home / "postgres", free_port(), home / "postgres.log"
    password_file = home / "password"
    password_file.write_text(password)
    if user:
        for path in (home, password_file):
            shutil.chown(path, user)
    quick = ["--no-sync", "--encoding=UTF8", "--no-locale", "--auth=scram-sha-256"]
    run([program("initdb"), "-D", str(data), "-U", USER, f"--pwfile={password_file}", *quick], user)
    password_file.unlink()
    hasty = [] if durable else ["-c", "fsync=off", "-c", "full_page_writes=off"]
    switches = [*hasty, "-c", "max_connections=100"]
    argv = [
        program("postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
        "-k",
        str(home),
        *switches,
    ]
    pid = spawn(argv, user, log)
    wait_for(port, log)
    create_database(port, password)
    return pid, f"postgres://{USER}:{password}@127.0.0.1:{port}/{USER}"


def create_database(port: int, password: str) -> None:
    """The empty database; the server may still be refusing connections, so this tries for a while."""
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with psycopg.connect(
                host="127.0.0.1", port=port, user=USER, password=password, dbname="postgres", autocommit=True
            ) as connection:
                connection.execute(f"CREATE DATABASE {USER}")
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def start_redis(home: Path, password: str) -> tuple[int, str]:
    """A Redis that keeps nothing on disk; the password is in a file, so that `ps` does not show it."""
    port, log, config = free_port(), home / "redis.log", home / "redis.conf"
    config.write_text(
        f'bind 127.0.0.1\nport {port}\ndir {home}\nsave ""\nappendonly no\nrequirepass {password}\n'
        "maxmemory-policy noeviction\n"
    )
    config.chmod(0o600)
    pid = spawn([program("redis-server"), str(config)], None, log)
    wait_for(port, log)
    return pid, f"redis://:{password}@127.0.0.1:{port}/0"


@contextmanager
def private(*, durable: bool) -> Iterator[tuple[str, str]]:
    """Both for the length of the block, for nobody else: the URLs of PostgreSQL and of Redis."""
    program("postgres"), program("redis-server")
    home, pids = Path(tempfile.mkdtemp(prefix="billingbridge-services-")), []
    password = secrets.token_urlsafe(24)
    try:
        pid, database_url = start_postgres(home, password, durable=durable)
        pids.append(pid)
        pid, redis_url = start_redis(home, password)
        pids.append(pid)
        yield database_url, redis_url
    finally:
        for pid in pids:
            end(pid, str(home))
        shutil.rmtree(home, ignore_errors=True)


def start() -> None:
    """Start both, unless they run, and print how to reach them."""
    if not STATE.exists():
        program("postgres"), program("redis-server")
        home = Path(tempfile.mkdtemp(prefix="billingbridge-services-"))
        password = secrets.token_urlsafe(24)
        postgres, database_url = start_postgres(home, password)
        redis, redis_url = start_redis(home, password)
        state = {"home": str(home), "pids": [postgres, redis], "urls": [database_url, redis_url]}
        STATE.parent.mkdir(mode=0o700, exist_ok=True)
        STATE.touch(mode=0o600)
        STATE.write_text(json.dumps(state))
    database_url, redis_url = json.loads(STATE.read_text())["urls"]
    for prefix in ("", "TEST_"):
        sys.stdout.write(
            f"export {prefix}DATABASE_URL={database_url}\nexport {prefix}REDIS_URL={redis_url}\n"
        )


def stop() -> None:
    """Stop both and remove their data; fine if nothing runs."""
    if not STATE.exists():
        return
    state = json.loads(STATE.read_text())
    for pid in state["pids"]:
        end(pid, state["home"])
    shutil.rmtree(state["home"], ignore_errors=True)
    STATE.unlink()


def end(pid: int, home: str) -> None:
    """End one server, if the process of that number is still the one we started."""
    folder = Path(f"/proc/{pid}/cwd")
    if not lives_in(folder, home):
        return
    # PostgreSQL's "fast shutdown" is SIGINT; Redis takes it as well.
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_SECONDS
    while lives_in(folder, home) and time.monotonic() < deadline:
        time.sleep(0.1)


def lives_in(folder: Path, home: str) -> bool:
    """Whether a process exists and works in *home*; Redis hides its command line, so that cannot tell."""
    try:
        return str(folder.readlink()).startswith(home)
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    """Dispatch; 2 for an unknown word."""
    actions = {"start": start, "stop": stop}
    if len(arguments) != 1 or arguments[0] not in actions:
        sys.stderr.write("Usage: python -m tools.services start | stop\n")
        return 2
    actions[arguments[0]]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
