"""How many signed webhooks a second are kept, beside a bare app on the same server and database."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from provisioning.management.supervisor import web_argv
from tests.flows.stack import ROOT, Ground, Part, free_port
from tools.bench.load import Load, Message, orders
from tools.bench.measuring import Failed, best_ratio, require
from tools.bench.product import STACKS, environment, ground, part
from tools.bench.report import Result

ROUNDS, MESSAGES, WARM_UP = 3, 2_000, 200
KEPT, KILLS = 10_000, 20
"""Webhooks on each database, and how often the web server is killed meanwhile."""
START_SECONDS = 30.0
GROUPED = "GROUP BY sender_id"


@dataclass(frozen=True)
class Door:
    """Where webhooks are taken, and how they are signed."""

    url: str
    secret: str

    def messages(self, name: str, number: int) -> list[Message]:
        """So many fresh orders."""
        return orders(self.url, self.secret, [f"{name}{index}" for index in range(number)])

    def rate(self, name: str, number: int) -> float:
        """Accepted webhooks a second. Raises Failed if one was refused."""
        messages, load = self.messages(name, number), Load(self.url)
        seconds = load.send(messages)
        require(len(load.accepted) == number, f"Webhooks were refused: {load.refused[:5]}")
        return number / seconds


def measure() -> Result:
    """The ratio on each database, and what was lost over kills."""
    figures: dict[str, float | bool] = {"intake.lost": 0}
    details = {}
    for stack in STACKS:
        with ground(stack) as (made, folder):
            rounds = _rounds(made, folder)
            lost, killed = _lost(made, folder)
        figures[f"intake.{stack}.ratio"] = round(best_ratio(rounds), 3)
        figures["intake.lost"] += lost
        shown = [[round(ours), round(bare)] for ours, bare in rounds]
        details[stack] = {"ours_and_bare_a_second": shown, "kills": killed, "webhooks": KEPT}
    return Result(figures, details)


# --- speed -------------------------------------------------------------------------------------------------


def _rounds(made: Ground, folder: Path) -> list[tuple[float, float]]:
    """Both servers run all the time and are asked in turn: what disturbs one disturbs the other."""
    ours = Door(made.cast.webhook_url, made.cast.secret)
    with served(made, folder), _bare(made, folder) as bare:
        for door in (ours, bare):
            door.rate("warm", WARM_UP)
        return [(ours.rate(f"r{n}x", MESSAGES), bare.rate(f"r{n}x", MESSAGES)) for n in range(ROUNDS)]


@contextlib.contextmanager
def served(made: Ground, folder: Path) -> Iterator[Part]:
    """The product's web server, as `manage.py run` starts it."""
    env = environment(made, folder / "ground")
    with part("web", web_argv(env["BIND"]), env, folder) as web:
        wait_until_served(f"{env['PUBLIC_URL']}/livez")
        yield web


@contextlib.contextmanager
def _bare(made: Ground, folder: Path) -> Iterator[Door]:
    """The same server with the same options around the bare app, on a table of its own."""
    port, secret = free_port(), made.cast.secret
    database = made.store.variables["DATABASE_URL"] or str(folder / "bare.sqlite3")
    env = {**environment(made, folder), "BARE_DATABASE": database, "BARE_SECRET": secret}
    argv = [
        "tools.bench.bare:application" if word == "billingbridge.wsgi:application" else word
        for word in web_argv(f"127.0.0.1:{port}")
    ]
    subprocess.run([sys.executable, "-m", "tools.bench.bare"], env=env, cwd=ROOT, check=True)
    door = Door(f"http://127.0.0.1:{port}/webhooks/bare/", secret)
    with part("bare", argv, env, folder):
        wait_until_served(door.url)
        yield door


def wait_until_served(url: str) -> None:
    """Waits for any answer. Raises Failed after half a minute."""
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends:
        with contextlib.suppress(requests.RequestException):
            requests.get(url, timeout=2)
            return
        time.sleep(0.05)
    raise Failed(f"{url} does not answer.")


# --- durability --------------------------------------------------------------------------------------------


def _lost(made: Ground, folder: Path) -> tuple[int, int]:
    """How many accepted webhooks are not in the table after kills, and how many kills there were."""
    door, load = Door(made.cast.webhook_url, made.cast.secret), Load(made.cast.webhook_url)
    # Signed one by one: with twenty kills the last is sent later than a signature holds.
    messages = (door.messages(f"kept{number}x", 1)[0] for number in range(KEPT))
    with served(made, folder) as web:
        sending = threading.Thread(target=load.send, args=(messages,))
        sending.start()
        killed = _kill(web, load, sending)
        sending.join()
    require(len(load.accepted) == KEPT, f"Webhooks were refused: {load.refused[:5]}")
    kept = made.store.select(f"SELECT sender_id, count(*) FROM provisioning_event {GROUPED}")  # noqa: S608
    return len(set(load.accepted) - {row[0] for row in kept if row[1] == 1}), killed


def _kill(web: Part, load: Load, sending: threading.Thread) -> int:
    """Kills the web server with all its workers, evenly spread over what is accepted; returns how often."""
    chooser, killed = random.Random(1), 0  # noqa: S311 - repeatable on purpose
    while sending.is_alive() and killed < KILLS:
        wanted = (killed + chooser.random()) * KEPT / KILLS
        while sending.is_alive() and len(load.accepted) < wanted:
            time.sleep(0.001)
        web.kill()
        web.start()
        killed += 1
    return killed
