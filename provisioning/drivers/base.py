"""What a driver is: observe, plan, apply. `plan` is pure and lives here; authors write the other two.

The engine owns order, proof and persistence (reconcile/engine.py); a driver holds no state of its own.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from provisioning.drivers.errors import Unsupported
from provisioning.drivers.lists import Item, ListKind, ListStep, NodeItem
from provisioning.drivers.spec import ProductSpec
from provisioning.drivers.trouble import is_substitute
from provisioning.drivers.types import (
    Absent,
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
    Plan,
    RateWindow,
    ServerRef,
    ServerState,
    SignIn,
    Transport,
    Wanted,
)
from provisioning.lib.http import Answer
from provisioning.lib.ratelimit import retry_after

T = TypeVar("T")


UNITS = {"memory": " MiB", "memory_overhead": " MiB", "swap": " MiB", "disk": " MiB", "cpu": " %"}
"""What a limit is counted in, for the lines that people read."""


class PanelDriver(ABC):
    """One panel's API behind three verbs (octoDNS's cut). Subclasses register with `registry.register`."""

    name: ClassVar[str]
    title: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    spec: ClassVar[ProductSpec]
    longest_call: ClassVar[float]
    """Seconds that one call of this panel may take before we give up on its answer."""
    unique_marks: ClassVar[bool]
    """Whether the panel itself refuses a second server with the same mark."""
    default_rate: ClassVar[int]
    """Calls a minute that the panel is known to allow, until its own header says otherwise."""
    rate_window: ClassVar[RateWindow | None] = None
    """How the panel counts calls, where a steady rate alone would not keep within its limit."""
    boolean_words: ClassVar[bool] = False
    """Whether the panel may take “true” and “false” for an egg variable that is a boolean: it is asked."""
    shortest_name: ClassVar[int] = 1
    """Characters that the name of a server must have at least."""
    lists: ClassVar[tuple[ListStep, ...]] = ()
    """What products are chosen from, in the order in which a reading takes it (CAL-20)."""

    def __init__(self, config: PanelConfig, transport: Transport, memory: Memory) -> None:
        """Binds the driver to one panel for one job."""
        self.config = config
        self.transport = transport
        self.memory = memory
        self.remarks: list[str] = []
        """What staff should know of this job, though it was done: the engine tells them once it has ended."""

    @classmethod
    @abstractmethod
    def auth_headers(cls, api_key: str) -> dict[str, str]:
        """The headers that carry the panel's key; kept out of every record."""

    @classmethod
    def key_problem(cls, _api_key: str) -> str:
        """What is wrong with the shape of a key, as a sentence without the key; empty if nothing (CAL-11)."""
        return ""

    @classmethod
    def key_name(cls, _api_key: str) -> str:
        """The part of a key by which the panel itself names it; empty where it has no such."""
        return ""

    @classmethod
    def server_id_problem(cls, _server_id: str) -> str:
        """Why staff can't have meant a server by this id, as a sentence; empty if they can (CAL-07)."""
        return ""

    @classmethod
    def panel_trouble(cls, answer: Answer, method: str = "GET") -> bool:
        """Whether an answer says that the whole panel is in trouble: what opens the breaker."""
        return answer.status >= 500 or is_substitute(answer, method)

    @classmethod
    def silence_seconds(cls, answer: Answer, now: dt.datetime) -> float:
        """How long a 429 asks us to be silent; kept within 1 s and 1 h."""
        return retry_after(answer.headers.get("retry-after"), now)

    @abstractmethod
    def test_connection(self) -> ConnectionReport:
        """Says in plain words what works and what does not (CAL-11). Raises nothing for expected trouble."""

    def check_row(self) -> dict[str, str]:
        """What of its own row the panel contradicts: field -> sentence (CAL-10). May raise Unknown."""
        return {}

    @abstractmethod
    def check_target(self, document: Mapping[str, Any]) -> dict[str, str]:
        """Checks nest, egg, node and variables against the panel: path -> problem. May raise Unknown."""

    @abstractmethod
    def observe(self, ref: ServerRef) -> Look:
        """One fresh full look. ABSENT only on proof; raises Unknown and its like otherwise."""

    def observe_lost(self, mark: str, _owner: str, _pinned: Mapping[str, Any]) -> Look:
        """The look for a server whose create got no answer: by its mark. Raises WrongServer for two."""
        return self.observe(ServerRef(mark))

    def lost_looks(self, _pinned: Mapping[str, Any]) -> LostLooks:
        """When to look for the server of a create that got no answer, before another one may be sent."""
        return LostLooks()

    @abstractmethod
    def account_ensure(self, want: AccountWant) -> Account:
        """Finds or makes the account by the safe rules (CAL-05, CAL-06). Raises AccountHeld."""

    @abstractmethod
    def account_update(self, account_id: str, want: AccountWant) -> Account:
        """Carries a changed e-mail, name or mark over. Raises AccountHeld on a conflict or an admin."""

    @abstractmethod
    def accounts(self) -> Iterable[Account]:
        """Every account of the panel, over all pages."""

    @abstractmethod
    def servers(self) -> Iterable[Observed]:
        """Every server of the panel, over all pages."""

    def server_page(self, number: int) -> ListPage[Observed]:
        """One page of the servers, counted from 1. A panel whose lists have no pages shows all on the first.

        A drift pass reads page by page, so that a worker that is killed loses one page. Raises Unknown.
        """
        return _whole(self.servers())

    def account_page(self, number: int) -> ListPage[Account]:
        """One page of the accounts, counted from 1; see `server_page`."""
        return _whole(self.accounts())

    @classmethod
    def list_kinds(cls) -> tuple[ListKind, ...]:
        """The kinds that this panel has lists of."""
        return tuple(dict.fromkeys(kind for step in cls.lists for kind in (step.kind, *step.brings)))

    def list_page(self, kind: ListKind, _parent: str, _number: int) -> ListPage[Item]:
        """One page of a list, counted from 1; `parent` is the id of which it is read one by one, else empty.

        Few calls, and small answers: a panel may have 1,500 eggs. Raises Unknown for what is no list.
        """
        raise Unsupported(f"{self.title} has no list of the kind {kind.value}.")

    def list_details(self, item: Item) -> Item:
        """The entry with something that its list leaves out, by one call; the very same if all is known.

        It is asked until then, so that no call is made twice. Raises NotThere if it is gone meanwhile.
        """
        return item

    @classmethod
    def node_room(cls, node: NodeItem, _document: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """MiB of memory and of disk that this panel lets a node promise; None without a limit. Pure."""
        return (
            _with_overallocation(node.memory, node.memory_overallocate),
            _with_overallocation(node.disk, node.disk_overallocate),
        )

    @abstractmethod
    def pin(self, desired: Desired) -> dict[str, Any]:
        """Chooses what must be the same in each try of a create (the allocation). Raises NoCapacity."""

    def pin_taken(self, _desired: Desired) -> bool:
        """Whether what a refused create had pinned is known to be somebody else's. May ask the panel.

        False keeps the choice: an earlier create of ours may have come true on it. Raises Unknown.
        """
        return True

    def pin_gone(self, _desired: Desired) -> bool:
        """Whether a create that nobody saw cannot come true on what it had pinned. May ask the panel.

        Asked before it is sent again. False keeps the choice: right where the panel refuses one
        that is not there (`pin_taken`). True also forgets what it was chosen from. Raises Unknown.
        """
        return False

    def blind(self, _observed: Observed) -> frozenset[ChangeKind]:
        """The changes that may rest on the last stored look, which is given.

        All others send back part of what they saw, and that may have been edited on the panel since.
        """
        return frozenset({ChangeKind.SUSPEND, ChangeKind.UNSUSPEND})

    def later_checks(
        self, _kinds: frozenset[ChangeKind], _desired: Desired, _observed: Observed
    ) -> list[LaterCheck]:
        """What changes that are about to be applied leave to be checked later, as operations of their own."""
        return []

    def calls_of(self, plan: Plan) -> int:
        """About how many panel calls a plan for a server that is there takes, its looks included."""
        return 1 + len(plan.changes)

    def check_later(self, _check: LaterCheck, _observed: Observed, *, tell: bool) -> bool:
        """Makes such a check: True if all is well or nothing is proven; False if the change never arrived.

        `tell` lets it be told again in that case.
        """
        return True

    @abstractmethod
    def apply(self, change: Change, desired: Desired, observed: Look) -> Observed | None:
        """Does one change. Returns the full new look if the answer showed it, else None (a look follows)."""

    @abstractmethod
    def preview(self, desired: Desired) -> dict[str, Any]:
        """The exact payload that a create would send. May raise Unknown, Rejected, SpecProblem."""

    @abstractmethod
    def server_url(self, observed: Observed) -> str:
        """The link of *Go to server* (CAL-40)."""

    @abstractmethod
    def sign_in_help(self, observed: Observed, account: Account) -> SignIn:
        """What the ready mail says (CAL-40, T83-07). May call the panel once for what it never learnt."""

    def plan(self, desired: Desired, observed: Look) -> Plan | None:
        """The difference as data; None where nothing is to do. Pure."""
        if isinstance(observed, Absent):
            changes = self._plan_missing(desired)
        elif desired.state is Wanted.ABSENT:
            changes = [_delete(observed)]
        else:
            changes = self._plan_existing(desired, observed)
        return Plan(tuple(changes), tuple(self.plan_notes(desired, observed))) if changes else None

    def plan_notes(self, _desired: Desired, _observed: Look) -> list[str]:
        """Remarks for staff on what the plan leaves alone."""
        return []

    def differences(self, desired: Desired, observed: Observed) -> list[Change]:
        """Limits and state that differ from a server as a list shows it. Pure; a part of `plan`."""
        plain = dataclasses.replace(desired, runtime_applied=None, set_mark=False)
        return self._plan_existing(plain, observed)

    def _plan_missing(self, desired: Desired) -> list[Change]:
        # A suspended service without a server stays without one: nothing is made that could not be used.
        if desired.state is not Wanted.PRESENT:
            return []
        after = {"name": desired.name, "owner": desired.owner, "limits": dict(desired.limits)}
        return [Change(ChangeKind.CREATE, f"create server {desired.name}", after=after)]

    def _plan_existing(self, desired: Desired, observed: Observed) -> list[Change]:
        changes: list[Change] = []
        if desired.set_mark and observed.mark != desired.mark:
            changes.append(_value_change(ChangeKind.MARK, "external id", observed.mark, desired.mark))
        suspended = observed.state is ServerState.SUSPENDED
        if desired.state is Wanted.PRESENT and suspended:
            changes.append(Change(ChangeKind.UNSUSPEND, "unsuspend the server"))
        changes += self._plan_limits(desired, observed)
        changes += self._plan_runtime(desired)
        if desired.state is Wanted.SUSPENDED and not suspended:
            changes.append(Change(ChangeKind.SUSPEND, "suspend the server"))
        return changes

    def _plan_limits(self, desired: Desired, observed: Observed) -> list[Change]:
        names = [name for name in desired.limits if observed.limits.get(name) != desired.limits[name]]
        if not names:
            return []
        before = {name: observed.limits.get(name) for name in names}
        after = {name: desired.limits[name] for name in names}
        parts = ", ".join(f"{name} {before[name]} → {after[name]}{UNITS.get(name, '')}" for name in names)
        return [Change(ChangeKind.RESIZE, parts, before, after)]

    def _plan_runtime(self, desired: Desired) -> list[Change]:
        # Only what the product changed is applied: a customer's own edits on the panel are not drift.
        wanted, applied = desired.runtime.as_json(), desired.runtime_applied
        if applied is None or wanted == applied:
            return []
        return [_value_change(ChangeKind.STARTUP, "startup", dict(applied), wanted)]


def _with_overallocation(limit: int | None, percent: int) -> int | None:
    return None if limit is None else limit * (100 + percent) // 100


def _whole(rows: Iterable[T]) -> ListPage[T]:
    items = tuple(rows)
    return ListPage(items, len(items))


def _value_change(kind: ChangeKind, label: str, before: object, after: object) -> Change:
    return Change(kind, f"{label}: {before or 'none'} → {after}", {label: before}, {label: after})


def _delete(observed: Observed) -> Change:
    what = {"server_id": observed.server_id, "uuid": observed.uuid, "mark": observed.mark}
    return Change(ChangeKind.DELETE, f"delete server {observed.name} ({observed.identifier})", before=what)
