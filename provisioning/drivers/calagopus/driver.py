"""The Calagopus driver: observe, account, pin, apply. Recorded from 1.1.4; traps are named where handled.

Not handled here: one rate budget per address (the engine's, by `rate_window`), and the panel's slow look at
keys that it has not seen for 5 s (docs/panels/calagopus.md tells hosts of it).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from provisioning.drivers.calagopus import lists, mapping, reading
from provisioning.drivers.calagopus.accounts import Accounts
from provisioning.drivers.calagopus.allocations import allocation_give_back, allocation_pin, allocation_taken
from provisioning.drivers.calagopus.changes import Changes
from provisioning.drivers.calagopus.client import LONGEST_CALL, Client, path
from provisioning.drivers.calagopus.connection import (
    connection_report,
    key_shape_problem,
    key_start,
    language_problem,
)
from provisioning.drivers.calagopus.eggs import Egg, Eggs
from provisioning.drivers.calagopus.failures import SAFETY, is_panel_trouble
from provisioning.drivers.calagopus.planning import DROPPED, CalagopusPlanning
from provisioning.drivers.calagopus.product import SPEC, custom_limits, uuid_problem
from provisioning.drivers.calagopus.target import target_problems
from provisioning.drivers.errors import Conflict, Rejected, Unknown, WrongServer
from provisioning.drivers.lists import Item, ListKind, ListStep, NodeItem
from provisioning.drivers.registry import register
from provisioning.drivers.spec import ProductSpec
from provisioning.drivers.trouble import only_reading
from provisioning.drivers.types import (
    ABSENT,
    Account,
    AccountWant,
    Capability,
    Change,
    ChangeKind,
    ConnectionReport,
    Desired,
    LaterCheck,
    ListPage,
    Look,
    LostLooks,
    Memory,
    Observed,
    PanelConfig,
    RateWindow,
    ServerRef,
    ServerState,
    SignIn,
    Transport,
)
from provisioning.exceptions import SpecProblem
from provisioning.lib.http import Answer


@register
class CalagopusDriver(CalagopusPlanning):
    """Speaks the Admin API with an administrator's key."""

    name: ClassVar[str] = "calagopus"
    title: ClassVar[str] = "Calagopus"
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    spec: ClassVar[ProductSpec] = SPEC
    longest_call: ClassVar[float] = LONGEST_CALL
    unique_marks: ClassVar[bool] = False
    default_rate: ClassVar[int] = 600
    """Of 720 that it allows: a burst within one window of 28 s has to fit, too (contract section 2.6)."""
    rate_window: ClassVar[RateWindow | None] = RateWindow(edge=27, clear=31, silence=32, calls=300)
    boolean_words: ClassVar[bool] = True
    shortest_name: ClassVar[int] = mapping.SHORTEST_NAME
    lists: ClassVar[tuple[ListStep, ...]] = lists.STEPS

    def __init__(self, config: PanelConfig, transport: Transport, memory: Memory) -> None:
        """Binds the driver to one panel for one job."""
        super().__init__(config, transport, memory)
        self._client = Client(transport)
        self._eggs = Eggs(self._client, memory)
        self._accounts = Accounts(self._client, config.identity_provider)
        self._changes = Changes(self._client, memory, self._eggs)

    @classmethod
    def auth_headers(cls, api_key: str) -> dict[str, str]:
        """The key as a bearer token: the panel takes a header of exactly 55 characters."""
        return {"Authorization": f"Bearer {api_key}"}

    @classmethod
    def key_problem(cls, api_key: str) -> str:
        """A Calagopus key has 48 characters (contract section 2.5)."""
        return key_shape_problem(api_key)

    @classmethod
    def key_name(cls, api_key: str) -> str:
        """Its first 16 characters: what the panel shows of it, and asks for."""
        return key_start(api_key)

    @classmethod
    def server_id_problem(cls, server_id: str) -> str:
        """The whole uuid: the panel finds a server by the short id too, but never calls it so."""
        return uuid_problem(server_id)

    @classmethod
    def panel_trouble(cls, answer: Answer, method: str = "GET") -> bool:
        """One node's daemon may be down while the panel is fine."""
        return is_panel_trouble(answer, method)

    @classmethod
    def silence_seconds(cls, answer: Answer, now: dt.datetime) -> float:
        """A little longer than asked for: calls that come too early count there."""
        return super().silence_seconds(answer, now) + SAFETY

    def test_connection(self) -> ConnectionReport:
        """Address, key, each right, language, provider, in plain words (CAL-11, CAL-42)."""
        return connection_report(self._client, self.config)

    def check_row(self) -> dict[str, str]:
        """The language of new accounts is one that the panel has (contract section 1, 11)."""
        return language_problem(self._client, self.config.language)

    def check_target(self, document: Mapping[str, Any]) -> dict[str, str]:
        """Nest, egg, node or locations exist; variables satisfy the egg. Raises Unknown, AuthFailed."""
        options = document.get("options") or {}
        for key in custom_limits(options.get("feature_limits") or ""):
            # An extension may have come that keeps it.
            self.memory.forget(DROPPED, key)
        return target_problems(self._client, self._eggs, document)

    # --- looking -----------------------------------------------------------------------------------

    def observe(self, ref: ServerRef) -> Look:
        """By the panel's id, and by our mark: only if both are answered 404 the server is proven absent."""
        if ref.server_id:
            found = self._look(path("servers", ref.server_id))
            if found is not None:
                return _expected(found, found.server_id == ref.server_id)
        found = self._look(path("servers", "external", ref.mark))
        return ABSENT if found is None else _expected(found, found.mark == ref.mark)

    def _look(self, where: str) -> Observed | None:
        data = self._client.find("server", where)
        if data is None:
            return None
        with only_reading():
            found = reading.server(data)
        if found.state is ServerState.INSTALLING:
            self.memory.forget("reinstalling", found.server_id)
        if found.state is ServerState.ACTIVE and self.memory.recall("reinstalling", found.server_id):
            # Its failure was cleared, and the order to install again may never have left.
            return dataclasses.replace(found, state=ServerState.INSTALL_FAILED)
        return found

    def observe_lost(self, mark: str, owner: str, pinned: Mapping[str, Any]) -> Look:
        """By the mark; where the panel chose the place, in the customer's whole list. Raises WrongServer."""
        if "allocation" in pinned or not owner:
            return self.observe(ServerRef(mark))
        items = self._client.pages("servers", path("users", owner, "servers"), {"owned": "true"})
        with only_reading():
            found = [seen for seen in map(reading.server, items) if seen.mark == mark]
        if len(found) > 1:
            ids = ", ".join(seen.server_id for seen in found)
            raise WrongServer(
                f"Servers {ids} all carry the mark {mark}. None was touched: decide which one is the "
                "customer's, take the mark off the others, then retry.",
                reason="two_servers",
            )
        return found[0] if found else ABSENT

    def lost_looks(self, pinned: Mapping[str, Any]) -> LostLooks:
        """A pinned allocation makes a second server impossible; where the panel chooses, nothing does."""
        return LostLooks() if "allocation" in pinned else LostLooks((0, 1, 8), retries=1)

    def accounts(self) -> Iterable[Account]:
        """Every account, over all pages."""
        return self._accounts.all()

    def servers(self) -> Iterable[Observed]:
        """Every server, over all pages."""
        return [reading.server(item) for item in self._client.pages("servers", path("servers"))]

    def server_page(self, number: int) -> ListPage[Observed]:
        """One page of the servers: a hundred, each with node and egg."""
        page = self._client.page("servers", path("servers"), number)
        return ListPage(tuple(map(reading.server, page.items)), page.total, page.last)

    def account_page(self, number: int) -> ListPage[Account]:
        """One page of the users."""
        page = self._client.page("users", path("users"), number)
        return ListPage(tuple(map(reading.account, page.items)), page.total, page.last)

    def list_page(self, kind: ListKind, parent: str, number: int) -> ListPage[Item]:
        """One page of what products are chosen from: see lists.py."""
        return lists.list_page(self._client, kind, parent, number)

    def list_details(self, item: Item) -> Item:
        """An egg's variables, what a node has left: see lists.py."""
        return lists.list_details(self._client, item)

    @classmethod
    def node_room(cls, node: NodeItem, document: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """What a node may promise: see lists.py."""
        return lists.room(node, document)

    # --- accounts ----------------------------------------------------------------------------------

    def account_ensure(self, want: AccountWant) -> Account:
        """See accounts.py: POST first, then mark, then whole e-mail. Raises AccountHeld."""
        return self._accounts.ensure(want)

    def account_update(self, account_id: str, want: AccountWant) -> Account:
        """Looks first, and again after the change. Raises AccountHeld."""
        return self._accounts.update(account_id, want)

    # --- changing ----------------------------------------------------------------------------------

    def pin(self, desired: Desired) -> dict[str, Any]:
        """The allocation on a fixed node; nothing for Auto. Raises NoCapacity."""
        return allocation_pin(self._client, self.memory, desired)

    def pin_taken(self, desired: Desired) -> bool:
        """Asks who has the pinned allocation: an earlier create of ours may have come true on it."""
        return allocation_taken(self._client, desired)

    def pin_gone(self, desired: Desired) -> bool:
        """An allocation that was deleted is a 500, like any trouble of the panel's own: it is asked."""
        gone = "allocation" in desired.pinned and self.pin_taken(desired)
        if gone:
            allocation_give_back(self.memory, desired)
        return gone

    def blind(self, observed: Observed) -> frozenset[ChangeKind]:
        """Limits too, unless an extension's are among them: those are sent back as they were seen."""
        kinds = super().blind(observed) | {ChangeKind.STARTUP}
        known = set(reading.FEATURES).issuperset(observed.extra["feature_limits"])
        return kinds | {ChangeKind.RESIZE} if known else kinds

    def apply(self, change: Change, desired: Desired, observed: Look) -> Observed | None:
        """Does one change, and with it all later ones of the same plan that fit into one PATCH."""
        if change.kind is ChangeKind.CREATE:
            return self._create(desired)
        if not isinstance(observed, Observed):
            raise Unknown("There is no server to change. Look again.", maybe_done=False)
        if change.kind is ChangeKind.DELETE:
            backups = desired.options.get("delete_backups")
            self._remark(self._changes.delete(observed.server_id, backups=backups))
            return None
        if change.kind is ChangeKind.REINSTALL:
            self._reinstall(observed)
            return None
        return self._change(change.kind, desired, observed)

    def _create(self, desired: Desired) -> Observed:
        allocation = _pinned(desired)
        where = path("servers") if allocation else path("servers", "deploy")

        def post(egg: Egg) -> Observed:
            body = mapping.create_body(desired, egg, owner=_owner(desired), allocation=allocation)
            made = reading.server(self._client.create("server", where, body))
            return _expected(made, (made.mark, made.owner) == (desired.mark, desired.owner), maybe_done=True)

        try:
            made = self._eggs.attempt(desired.target["nest"], desired.target["egg"], post)
        except Conflict as conflict:
            if "allocation" in conflict.fields:
                allocation_give_back(self.memory, desired)
            raise
        self._remark(
            "" if made.extra["allocation"] else f"The panel made server {made.server_id} without a port."
        )
        self._note_dropped(desired, made)
        return made

    def _change(self, kind: ChangeKind, desired: Desired, observed: Observed) -> Observed:
        plan = self.plan(desired, observed)
        kinds = frozenset(plan.kinds()) if plan else frozenset()
        if kind not in kinds:
            # An earlier change of this plan carried it along, and the look after it shows so.
            return observed
        if ChangeKind.MARK in kinds:
            self._check_unmarked(desired, observed)
        seen = self._changes.change(desired, observed, kinds)
        if ChangeKind.RESIZE in kinds:
            self._note_dropped(desired, seen)
        return seen

    def _check_unmarked(self, desired: Desired, observed: Observed) -> None:
        fresh = self._look(path("servers", observed.server_id))
        if fresh is None or fresh.mark not in ("", observed.mark, desired.mark):
            raise WrongServer(f"Server {observed.server_id} got another external id in the meantime.")

    def _reinstall(self, observed: Observed) -> None:
        if observed.state is ServerState.SUSPENDED:
            raise Rejected("The panel installs no suspended server. Unsuspend it first.")
        self._changes.reinstall(observed)

    def _remark(self, words: str) -> None:
        if words:
            self.remarks.append(words)

    # --- afterwards --------------------------------------------------------------------------------

    def preview(self, desired: Desired) -> dict[str, Any]:
        """The body of the create; what is only known later is named in words."""
        egg = self._eggs.get(desired.target["nest"], desired.target["egg"])
        node = desired.target.get("node")
        port = desired.pinned.get("allocation", f"the first free allocation of node {node}") if node else ""
        owner = desired.owner if "-" in desired.owner else "the customer's panel account"
        return mapping.create_body(desired, egg, owner=owner, allocation=port)

    def later_checks(
        self, kinds: frozenset[ChangeKind], desired: Desired, observed: Observed
    ) -> list[LaterCheck]:
        """The end of a series, and what the machine made of a suspension or new limits."""
        return self._changes.later_checks(kinds, desired, observed)

    def check_later(self, check: LaterCheck, observed: Observed, *, tell: bool) -> bool:
        """One look at the node's usage, and an empty PATCH where the machine never heard of the change."""
        return self._changes.check(check, observed, tell=tell)

    def server_url(self, observed: Observed) -> str:
        """The server's page in the panel (CAL-40)."""
        return f"{self.config.url.rstrip('/')}/server/{observed.identifier}"

    def sign_in_help(self, observed: Observed, account: Account) -> SignIn:
        """Panel, sign-in e-mail, SFTP, and the forgot-password page: the first link lives for 20 minutes."""
        panel = self.config.url.rstrip("/")
        return SignIn(
            panel_url=panel,
            email=account.email,
            forgot_url=f"{panel}/auth/forgot-password",
            server_url=self.server_url(observed),
            sftp_host=observed.extra["sftp_host"],
            sftp_port=str(observed.extra["sftp_port"]),
            sftp_user=f"{account.username}.{observed.identifier}",
        )


def _expected(found: Observed, fits: bool, *, maybe_done: bool = False) -> Observed:
    """The look, if it answers what was asked; raises Unknown for another server's."""
    if not fits:
        raise Unknown(
            f"The panel answered with another server: {found.server_id}, external id “{found.mark}”.",
            maybe_done=maybe_done,
        )
    return found


def _owner(desired: Desired) -> str:
    if not desired.owner:
        raise SpecProblem({"owner": "The customer has no panel account yet."})
    return desired.owner


def _pinned(desired: Desired) -> str:
    if not desired.target.get("node"):
        return ""
    if "allocation" not in desired.pinned:
        raise SpecProblem({"target.node": "No allocation of the node was chosen yet."})
    return str(desired.pinned["allocation"])
