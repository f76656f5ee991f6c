"""The Pterodactyl driver: observe, account, pin, apply. Recorded from 1.11.7; traps are named where handled.

Traps 1 and 2 (JSON only, no cookies, no redirects) are lib.http's business; 13 (one rate budget per
administrator) is the engine's; 10 is `longest_call`; 19 is avoided: no `include=transfer`. 6, 12, 14, 16 and
20 (blank is null, suspended servers can be changed, administrators' client keys, Auto ignores maintenance, no
webhooks) are in docs/panels/pterodactyl.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from provisioning.drivers.base import PanelDriver
from provisioning.drivers.errors import Conflict, Rejected, Unknown, Unsupported, WrongServer
from provisioning.drivers.lists import Item, ListKind, ListStep, NodeItem
from provisioning.drivers.pterodactyl import lists, mapping, reading
from provisioning.drivers.pterodactyl.accounts import Accounts
from provisioning.drivers.pterodactyl.allocations import allocation_give_back, allocation_pin
from provisioning.drivers.pterodactyl.client import LONGEST_CALL, Client, path
from provisioning.drivers.pterodactyl.connection import connection_report, key_shape_problem
from provisioning.drivers.pterodactyl.eggs import Egg, Eggs, sftp_place
from provisioning.drivers.pterodactyl.failures import is_panel_trouble
from provisioning.drivers.pterodactyl.product import SPEC
from provisioning.drivers.pterodactyl.target import target_problems
from provisioning.drivers.registry import register
from provisioning.drivers.spec import ProductSpec
from provisioning.drivers.trouble import NotThere, only_reading
from provisioning.drivers.types import (
    ABSENT,
    Account,
    AccountWant,
    Capability,
    Change,
    ChangeKind,
    ConnectionReport,
    Desired,
    ListPage,
    Look,
    Memory,
    Observed,
    PanelConfig,
    ServerRef,
    ServerState,
    SignIn,
    Transport,
)
from provisioning.exceptions import SpecProblem
from provisioning.lib.http import Answer

PAGE = 100
LONG_PAGE = 250
"""Entries a page where a whole panel is read: 10,000 servers and users are 80 calls of some 600 KB."""


@register
class PterodactylDriver(PanelDriver):
    """Speaks the Application API with an application key, or an administrator's client key."""

    name: ClassVar[str] = "pterodactyl"
    title: ClassVar[str] = "Pterodactyl"
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    spec: ClassVar[ProductSpec] = SPEC
    longest_call: ClassVar[float] = LONGEST_CALL
    unique_marks: ClassVar[bool] = True
    default_rate: ClassVar[int] = 240
    lists: ClassVar[tuple[ListStep, ...]] = lists.STEPS

    def __init__(self, config: PanelConfig, transport: Transport, memory: Memory) -> None:
        """Binds the driver to one panel for one job."""
        super().__init__(config, transport, memory)
        self._client = Client(transport)
        self._eggs = Eggs(self._client, memory)
        self._accounts = Accounts(self._client)

    @classmethod
    def auth_headers(cls, api_key: str) -> dict[str, str]:
        """The key as a bearer token."""
        return {"Authorization": f"Bearer {api_key}"}

    @classmethod
    def key_problem(cls, api_key: str) -> str:
        """A Pterodactyl key has 48 characters (contract section 1.1)."""
        return key_shape_problem(api_key)

    @classmethod
    def server_id_problem(cls, server_id: str) -> str:
        """The number, not the short id of the customer's page (contract section 6.1)."""
        if server_id.isascii() and server_id.isdigit():
            return ""
        return (
            f"“{server_id[:40]}” is no server id of this panel: enter the number in the address of its page "
            "in the panel's admin area."
        )

    @classmethod
    def panel_trouble(cls, answer: Answer, method: str = "GET") -> bool:
        """One node's daemon may be down while the panel is fine (trap 9)."""
        return is_panel_trouble(answer, method)

    def test_connection(self) -> ConnectionReport:
        """Address, key, rights, version, in plain words (CAL-11, CAL-42, T83-30)."""
        return connection_report(self._client, self.config)

    def check_target(self, document: Mapping[str, Any]) -> dict[str, str]:
        """Nest, egg, node or locations exist; variables satisfy the egg. Raises Unknown, AuthFailed."""
        return target_problems(self._client, self._eggs, document)

    def observe(self, ref: ServerRef) -> Look:
        """By the panel's id, and by our mark: only if both are answered 404 the server is proven absent."""
        if ref.server_id:
            found = self._look(path("servers", ref.server_id))
            if found is not None:
                return _expected(found, found.server_id == ref.server_id)
        found = self._look(path("servers", "external", ref.mark))
        # The panel's database compares without regard to case: such a server isn't ours.
        return ABSENT if found is None else _expected(found, found.mark == ref.mark)

    def _look(self, where: str) -> Observed | None:
        data = self._client.find("server", where)
        with only_reading():
            return None if data is None else reading.server(data)

    def account_ensure(self, want: AccountWant) -> Account:
        """See accounts.py: POST first, then mark, then whole e-mail. Raises AccountHeld."""
        return self._accounts.ensure(want)

    def account_update(self, account_id: str, want: AccountWant) -> Account:
        """Looks first, because PATCH isn't partial. Raises AccountHeld."""
        return self._accounts.update(account_id, want)

    def accounts(self) -> Iterable[Account]:
        """Every account, over all pages."""
        return self._accounts.all()

    def servers(self) -> Iterable[Observed]:
        """Every server, over all pages."""
        items = self._client.pages("server", path("servers"), {"sort": "id"}, size=PAGE)
        return [reading.server(item) for item in items]

    def server_page(self, number: int) -> ListPage[Observed]:
        """One page of the servers (the Application API puts no limit to its size)."""
        page = self._client.page("server", path("servers"), number, size=LONG_PAGE)
        return ListPage(tuple(map(reading.server, page.items)), page.total, page.last)

    def account_page(self, number: int) -> ListPage[Account]:
        """One page of the users."""
        page = self._client.page("user", path("users"), number, size=LONG_PAGE)
        return ListPage(tuple(map(reading.account, page.items)), page.total, page.last)

    def list_page(self, kind: ListKind, _parent: str, number: int) -> ListPage[Item]:
        """One page of what products are chosen from: see lists.py."""
        return lists.list_page(self._client, kind, number)

    @classmethod
    def node_room(cls, node: NodeItem, document: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """What a node may promise: see lists.py."""
        return lists.room(node, document)

    def pin(self, desired: Desired) -> dict[str, Any]:
        """The allocation on a fixed node; nothing for Auto. Raises NoCapacity."""
        return allocation_pin(self._client, self.memory, desired)

    def apply(self, change: Change, desired: Desired, observed: Look) -> Observed | None:
        """Does one change: see the methods below."""
        if change.kind is ChangeKind.CREATE:
            return self._create(desired)
        if not isinstance(observed, Observed):
            raise Unknown("There is no server to change. Look again.", maybe_done=False)
        match change.kind:
            case ChangeKind.SUSPEND | ChangeKind.UNSUSPEND | ChangeKind.REINSTALL | ChangeKind.DELETE:
                self._order(change.kind, observed)
                return None
            case ChangeKind.RESIZE:
                return self._resize(desired, observed)
            case ChangeKind.STARTUP:
                return self._startup(desired, observed)
            case ChangeKind.MARK:
                return self._mark(desired, observed)
        raise Unsupported(f"Pterodactyl has no “{change.kind}”.")

    def _create(self, desired: Desired) -> Observed:
        # A create that fails behind the daemon leaves nothing on the panel: the same mark can be tried again.
        def post(egg: Egg) -> Observed:
            body = mapping.create_body(desired, egg, user=_owner(desired), allocation=_pinned(desired))
            made = reading.server(self._client.write("server", "POST", path("servers"), body))
            return _expected(made, (made.mark, made.owner) == (desired.mark, desired.owner), maybe_done=True)

        try:
            return self._eggs.attempt(desired.target["nest"], desired.target["egg"], post)
        except Conflict as conflict:
            if "allocation" in conflict.fields:
                allocation_give_back(self.memory, desired)
            raise

    def _order(self, kind: ChangeKind, observed: Observed) -> None:
        """What is answered with 204 and nothing else: a look has to follow."""
        where = path("servers", observed.server_id)
        if kind is ChangeKind.DELETE:
            self._delete(where)
        elif kind is ChangeKind.REINSTALL and observed.state is ServerState.SUSPENDED:
            # Trap 11: the panel would lift the suspension by it.
            raise Rejected("Reinstalling a suspended server would unsuspend it. Unsuspend it first.")
        else:
            # Suspend and unsuspend are safe to repeat; the panel takes all three back if the daemon fails.
            self._client.order("POST", f"{where}/{kind.value}")

    def _delete(self, where: str) -> None:
        # Never `/force`: it forgets servers that a sleeping daemon still has. Trap 18: nothing is appended.
        try:
            self._client.order("DELETE", where)
        except NotThere:
            return

    def _resize(self, desired: Desired, observed: Observed) -> Observed:
        try:
            return self._patch(observed, "build", mapping.build_body(desired, observed))
        except (Conflict, Rejected) as refusal:
            # The stored look may name a default port that the customer has changed since.
            if refusal.fields and "allocation" not in refusal.fields:
                raise
            fresh = self._look(path("servers", observed.server_id))
            if fresh is None or fresh.extra["allocation"] == observed.extra["allocation"]:
                raise Rejected(refusal.detail, fields=refusal.fields) from refusal
            return self._patch(fresh, "build", mapping.build_body(desired, fresh))

    def _startup(self, desired: Desired, observed: Observed) -> Observed:
        def patch(egg: Egg) -> Observed:
            return self._patch(observed, "startup", mapping.startup_body(desired, observed, egg))

        return self._eggs.attempt(observed.extra["nest"], observed.extra["egg"], patch)

    def _mark(self, desired: Desired, observed: Observed) -> Observed:
        shown = self._client.get("server", path("servers", observed.server_id))
        if reading.server(shown).mark not in ("", observed.mark, desired.mark):
            raise WrongServer(f"Server {observed.server_id} got another external id in the meantime.")
        return self._patch(observed, "details", mapping.details_body(shown, desired.mark))

    def _patch(self, observed: Observed, part: str, body: dict[str, Any]) -> Observed:
        data = self._client.write("server", "PATCH", path("servers", observed.server_id, part), body)
        after = reading.server(data)
        return _expected(after, after.server_id == observed.server_id, maybe_done=True)

    def preview(self, desired: Desired) -> dict[str, Any]:
        """The body of the create; what is only known later is named in words."""
        egg = self._eggs.get(desired.target["nest"], desired.target["egg"])
        node = desired.target.get("node")
        port = desired.pinned.get("allocation", f"the first free allocation of node {node}") if node else None
        user = int(desired.owner) if desired.owner.isdecimal() else "the customer's panel account"
        return mapping.create_body(desired, egg, user=user, allocation=port)

    def plan_notes(self, desired: Desired, observed: Look) -> list[str]:
        """What a change leaves alone, and what it hides."""
        if not isinstance(observed, Observed):
            return []
        notes = []
        if _another_egg(desired, observed):
            notes.append("The new product uses another egg; this server keeps its own, with its variables.")
        if desired.target.get("node") not in (None, observed.extra["node"]):
            notes.append("The new product is on another node; this server stays where it is.")
        if observed.state is ServerState.INSTALLING:
            # Trap 11: the state is overwritten, and an unpaid server has to stop all the same.
            notes.append("The server is still installing. Suspending it now hides how that ends.")
        return notes

    def _plan_existing(self, desired: Desired, observed: Observed) -> list[Change]:
        # Image, startup and variables of one egg make no sense on another.
        changes = super()._plan_existing(desired, observed)
        return [c for c in changes if c.kind is not ChangeKind.STARTUP or not _another_egg(desired, observed)]

    def server_url(self, observed: Observed) -> str:
        """The server's page in the panel (CAL-40)."""
        return f"{self.config.url.rstrip('/')}/server/{observed.identifier}"

    def sign_in_help(self, observed: Observed, account: Account) -> SignIn:
        """Panel, sign-in e-mail, forgot-password page, SFTP. One call for a node that isn't known yet."""
        host, port = sftp_place(self._client, self.memory, observed.extra["node"])
        panel = self.config.url.rstrip("/")
        return SignIn(
            panel_url=panel,
            email=account.email,
            forgot_url=f"{panel}/auth/password",
            server_url=self.server_url(observed),
            sftp_host=host,
            sftp_port=str(port),
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


def _owner(desired: Desired) -> int:
    if not desired.owner.isdecimal():
        raise SpecProblem({"owner": "The customer has no panel account yet."})
    return int(desired.owner)


def _pinned(desired: Desired) -> int | None:
    if not desired.target.get("node"):
        return None
    if "allocation" not in desired.pinned:
        raise SpecProblem({"target.node": "No allocation of the node was chosen yet."})
    return int(desired.pinned["allocation"])


def _another_egg(desired: Desired, observed: Observed) -> bool:
    return desired.target.get("egg") not in (None, observed.extra["egg"])
