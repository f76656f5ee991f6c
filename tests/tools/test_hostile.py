"""The harness for the front door draws what it says, signs as billing does, and notices what is wrong."""

from __future__ import annotations

import itertools
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provisioning.inbox import store
from provisioning.webhooks import signatures
from tools.hostile import __main__ as command
from tools.hostile import bodies, crash
from tools.hostile.fire import Fire, Result, Tally, resident
from tools.hostile.front import Targets
from tools.hostile.grammar import Grammar, Request, digest_of, sign
from tools.hostile.intake import Intake
from tools.hostile.wire import Answer, Connection, Gone

SECRET = signatures.generate_secret()
ROWS = {
    name: {"address": f"a-{name}", "secret": SECRET, "old": SECRET, "ended": SECRET}
    for name in ("standard", "script", "disabled", "elsewhere")
}
HEADERS = (("content-type", "application/json"),)


def drawn(seed: int, count: int = 400) -> list[Request]:
    """The first requests of a seed."""
    talks = itertools.islice(Grammar(seed, Targets(ROWS)).talks(), count)
    return [request for talk in talks for request in talk]


def test_one_seed_draws_the_same_requests_and_another_draws_others() -> None:
    first, again, other = ([(r.kind, len(r.raw), r.statuses) for r in drawn(seed)] for seed in (3, 3, 4))
    assert first == again != other


def test_every_kind_of_request_is_drawn() -> None:
    kinds = {request.kind for request in drawn(1, 1500)}
    assert kinds >= {"good", "copy", "reused", "script", "forged", "header", "unknown", "oversized", "length"}
    assert kinds >= {"cut", "method", "path", "garbage", "pipelined", "disabled", "elsewhere"}


def test_only_what_has_to_be_taken_has_to_be_kept() -> None:
    for request in drawn(2):
        assert (request.kept is not None) == (202 in request.statuses)


def test_signatures_are_those_that_the_product_makes() -> None:
    ours = signatures.sign_standard(
        secret=signatures.decode_secret(SECRET), message_id="m", timestamp=1_795_000_000, body=b"{}"
    )
    assert sign(SECRET, "m", "1795000000", b"{}") == ours


def test_bodies_stay_under_the_limit() -> None:
    chooser = Grammar(5, Targets(ROWS)).chooser
    sizes = [len(bodies.make(chooser)) for _ in range(2000)]
    assert max(sizes) == bodies.LIMIT
    assert min(sizes) == 0


GOOD = Request("good", b"", frozenset({202}), kept=("m", "d"))
FORGED = Request("forged", b"", frozenset({401}))


def taken(number: int) -> Answer:
    """A 202 with our event's id."""
    return Answer(202, HEADERS, b'{"event":"%d"}' % number)


@pytest.mark.parametrize(
    ("said", "wrong", "errors", "looks"),
    [
        ([(GOOD, taken(1)), (GOOD, taken(1)), (FORGED, Answer(401, HEADERS, b""))], 0, 0, 1),
        ([(GOOD, taken(1)), (GOOD, taken(2))], 1, 0, 0),
        ([(GOOD, None)], 1, 0, 0),
        ([(Request("cut", b"", frozenset({400}), silent=True), None)], 0, 0, 0),
        ([(FORGED, taken(1))], 1, 0, 0),
        ([(FORGED, Answer(500, HEADERS, b""))], 1, 1, 0),
        ([(FORGED, Answer(401, HEADERS, b"")), (FORGED, Answer(401, HEADERS, b"other"))], 0, 0, 2),
        ([(FORGED, Answer(401, (), b"")), (FORGED, Answer(401, (("date", "now"),), b""))], 0, 0, 1),
    ],
)
def test_wrong_answers_are_noticed(said: Any, wrong: int, errors: int, looks: int) -> None:
    tally = Tally()
    for request, answer in said:
        tally.judge(request, answer)
    assert (tally.wrong.total(), tally.server_errors, len(tally.looks)) == (wrong, errors, looks)
    assert len(tally.examples) == wrong


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("m", "d"), ("x-0", "s")], (0, 0, 0)),
        ([("m", "d")], (1, 0, 0)),
        ([("m", "other"), ("x-0", "s")], (1, 1, 0)),
        ([("m", "d"), ("x-0", "s"), ("forged", "d")], (0, 1, 0)),
        ([("m", "d"), ("x-0", "s"), ("x-9", "s")], (0, 0, 1)),
    ],
)
def test_the_inbox_is_compared_with_the_answers(rows: Any, expected: tuple[int, int, int]) -> None:
    front: Any = SimpleNamespace(rows=lambda: rows, targets=Targets(ROWS))
    fire = Fire(front, 1, 1)
    fire.tally.kept = {("m", "d"): 1, ("", "s"): 2}
    assert fire._compare() == expected


CLEAN: dict[str, Any] = {
    **dict.fromkeys(("events", "seed", "taken", "messages", "seconds"), 1),
    **dict.fromkeys(("server_errors", "wrong_answers", "rows_missing", "rows_unproven", "rows_doubled"), 0),
    "workers_ended": 0,
    "stack": "sqlite",
    "refusals_look_alike": True,
    "growth_mib": 1.0,
    "p99_ms": 1.0,
}


@pytest.mark.parametrize(
    ("changed", "good"),
    [
        ({}, True),
        ({"server_errors": 1}, False),
        ({"wrong_answers": 1}, False),
        ({"rows_missing": 1}, False),
        ({"rows_unproven": 1}, False),
        ({"rows_doubled": 1}, False),
        ({"workers_ended": 1}, False),
        ({"refusals_look_alike": False}, False),
        ({"growth_mib": 20.0}, False),
    ],
)
def test_each_breach_spoils_the_result(changed: dict[str, Any], good: bool) -> None:
    assert Result(**(CLEAN | changed)).good is good


def test_memory_is_read_of_a_living_process_only() -> None:
    assert resident(os.getpid()) > 5
    assert resident(2**30) == 0


CLOSING = b"HTTP/1.1 401 No\r\nConnection: close\r\n\r\nc"


@contextmanager
def answering(raw: bytes) -> Iterator[int]:
    """A server that answers one connection with these bytes and closes it; its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(raw)

        thread = threading.Thread(target=talk)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("raw", "answers"),
    [
        (b"HTTP/1.1 202 OK\r\nContent-Length: 1\r\n\r\na" + CLOSING, [202, 401]),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n", [202]),
        (b"", []),
        (b"HTTP/1.1 202 OK\r\nContent-Length: 5\r\n\r\nab", []),
    ],
)
def test_answers_are_read_strictly(raw: bytes, answers: list[int]) -> None:
    with answering(raw) as port, Connection(port) as connection:
        connection.send(b"x")
        assert [connection.receive().status for _ in answers] == answers
        with pytest.raises(Gone):
            connection.receive()


def test_a_copy_without_an_answered_id_or_with_damage_counts(tmp_path: Path) -> None:
    path = tmp_path / "copy.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE provisioning_event (sender_id TEXT)")
        database.executemany("INSERT INTO provisioning_event VALUES (?)", [("a",), ("b",), ("b",)])
    front: Any = SimpleNamespace()
    intake = Intake(front, 1, 1)
    intake._judge(path, {"a"})
    assert (intake.lost_in_cuts, intake.damaged) == (0, 0)
    intake._judge(path, {"a", "b", "c"})
    assert (intake.lost_in_cuts, intake.damaged) == (2, 0)
    path.write_bytes(path.read_bytes()[:4000] + b"\xff" * 4192)
    intake._judge(path, {"a"})
    assert (intake.lost_in_cuts, intake.damaged) == (3, 1)


def test_the_defaults_are_the_quick_forms() -> None:
    assert (command.arguments([]).events, crash.arguments([]).kills) == (10_000, 20)


def test_a_digest_is_the_inbox_s() -> None:
    assert digest_of(b"x") == store._digest(b"x")
