"""The admin's pages and the sweep among 100,000 services and a million events, on both databases."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import requests

from tests.flows.stack import Ground
from tools.bench.intake import served
from tools.bench.measuring import percentile, require
from tools.bench.product import STACKS, ask, environment, ground
from tools.bench.report import Result

SERVICES, EVENTS, CUSTOMERS_SHARE = 100_000, 1_000_000, 2
FEW_SERVICES, FEW_EVENTS = 100, 1_000
DUE = 10
ROUNDS, LOOKS, WARM_UP = 3, 20, 3


def measure() -> Result:
    """The slowest page and the slowest sweep of both databases; each the best of three rounds."""
    told = {stack: _measure(stack) for stack in STACKS}
    figures: dict[str, float | bool] = {
        "admin.p95_ms": round(max(max(row["p95_ms"].values()) for row in told.values())),
        "admin.queries_constant": all(row["queries"] == row["queries_few"] for row in told.values()),
        "sweep.100000.s": round(max(min(row["sweeps"]) for row in told.values()), 3),
    }
    return Result(figures, told)


def _measure(stack: str) -> dict[str, Any]:
    with ground(stack) as (made, folder):
        few = _few(made, folder)
        env = environment(made, folder / "ground")
        customers = SERVICES // CUSTOMERS_SHARE
        seeded = ask("seed", env, services=SERVICES, customers=customers, events=EVENTS)
        pages = ask("pages", env)
        with served(made, folder):
            p95 = {name: _p95(env["PUBLIC_URL"] + path, pages) for name, path in pages["paths"].items()}
        sweeps = [round(seconds, 3) for seconds in ask("sweep", env, due=DUE)["seconds"]]
    return {
        "seed_seconds": seeded["seconds"],
        "p95_ms": p95,
        "queries": pages["queries"],
        "queries_few": few["queries"],
        "sweeps": sweeps,
    }


def _few(made: Ground, folder: Path) -> dict[str, Any]:
    """The same pages on a copy with few rows: as many queries have to be enough for many."""
    (folder / "few").mkdir()
    copy = dataclasses.replace(made, store=made.store.copy(folder / "few"))
    try:
        env = environment(copy, folder / "few")
        ask("seed", env, services=FEW_SERVICES, customers=FEW_SERVICES // CUSTOMERS_SHARE, events=FEW_EVENTS)
        return ask("pages", env)
    finally:
        copy.store.drop()


def _p95(url: str, pages: dict[str, Any]) -> int:
    """Milliseconds of a page over HTTP, in a session of staff: the best round's 95th percentile."""
    session = requests.Session()
    session.cookies.set("sessionid", pages["session"])
    for _ in range(WARM_UP):
        _look(session, url)
    return round(min(percentile([_look(session, url) for _ in range(LOOKS)], 0.95) for _ in range(ROUNDS)))


def _look(session: requests.Session, url: str) -> float:
    began = time.monotonic()
    answer = session.get(url, timeout=60, allow_redirects=False)
    require(answer.status_code == 200, f"{url} was answered with {answer.status_code}.")
    return (time.monotonic() - began) * 1000
