"""Lists: every page, our own page numbers, and no list that is short (field row 41)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from provisioning.drivers.errors import DriverError, Unknown
from provisioning.drivers.types import Account, Observed
from provisioning.lib.http import Answer
from provisioning.sandbox.faults import Kind
from provisioning.sandbox.world import Server, new_uuid
from tests.provisioning.drivers.pterodactyl.bench import Bench, made, user


def _accounts(work: Bench) -> Iterable[Account]:
    return work.driver.accounts()


def _servers(work: Bench) -> Iterable[Observed]:
    return work.driver.servers()


def fill(work: Bench, count: int) -> None:
    """More servers than fit on a page."""
    first = work.server()
    for number in range(2, count + 1):
        plain = {**vars(first), "id": number, "uuid": new_uuid(), "external_id": f"mark-{number}"}
        work.panel.world.state.servers[number] = Server(**plain)


def test_every_server_over_all_pages(work: Bench) -> None:
    made(work)
    fill(work, 230)
    found = list(work.driver.servers())
    assert len({server.server_id for server in found}) == 230
    assert work.calls() == 3


def test_every_account_over_all_pages(work: Bench) -> None:
    for number in range(120):
        user(work.panel, username=f"linus{number}", email=f"linus{number}@example.com")
    assert len(list(work.driver.accounts())) == 121
    assert work.calls() == 2


def test_an_empty_list_is_no_trouble(work: Bench) -> None:
    assert list(work.driver.servers()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"total":130', b'"total":131'),
        (b'"total_pages":2', b'"total_pages":1'),
        (b'"pagination"', b'"paging"'),
        (b'"total":130', b'"total":"130"'),
        (b'"object":"list"', b'"object":"heap"'),
        (b'"object":"server"', b'"object":"user"'),
        (b'"data"', b'"rows"'),
    ],
)
def test_a_list_that_does_not_add_up_is_unknown(work: Bench, old: bytes, new: bytes) -> None:
    made(work)
    fill(work, 130)
    work.wire.replace = (old, new)
    with pytest.raises(Unknown):
        list(work.driver.servers())


def test_an_overstated_number_of_pages_ends_at_the_first_empty_one(work: Bench) -> None:
    made(work)
    fill(work, 130)
    work.wire.replace = (b'"total_pages":2', b'"total_pages":99999')
    assert len(list(work.driver.servers())) == 130
    assert work.calls() == 3


def test_a_list_that_shrinks_while_it_is_read_is_unknown(
    work: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(work)
    fill(work, 250)
    ask = work.wire.client.request

    def delete_one_after_the_first_page(*args: Any, **options: Any) -> Answer:
        answer = ask(*args, **options)
        work.panel.world.state.servers.pop(5, None)
        return answer

    monkeypatch.setattr(work.wire.client, "request", delete_one_after_the_first_page)
    with pytest.raises(Unknown, match="shorter"):
        list(work.driver.servers())


@pytest.mark.parametrize(
    "kind", ["cut", "wrong_types", "error_in_ok", "bad_gateway", "rate_limited", "redirect"]
)
@pytest.mark.parametrize("read", [_accounts, _servers])
@pytest.mark.parametrize("skip", [0, 1])
def test_trouble_on_any_page_spoils_the_whole_list(
    work: Bench, kind: Kind, read: Callable[[Bench], Iterable[object]], skip: int
) -> None:
    made(work)
    fill(work, 101)
    for number in range(101):
        user(work.panel, username=f"linus{number}", email=f"linus{number}@example.com")
    work.panel.faults.add(kind, skip=skip)
    with pytest.raises(DriverError):
        list(read(work))
