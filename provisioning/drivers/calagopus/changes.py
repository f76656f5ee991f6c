"""Changes of a server: one PATCH for all of them, a look after it, a delete (contract sections 5.5 to 5.7).

The panel answers a PATCH before the machine knows of it, and what it tells the machine carries the state of
that request: two in quick succession may arrive in the wrong order, and the older state stays. So all that
is to be changed goes in one, two on one server are a second apart, and an empty one ends a series.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from provisioning.drivers.calagopus import mapping, reading
from provisioning.drivers.calagopus.client import Client, path
from provisioning.drivers.calagopus.eggs import Eggs
from provisioning.drivers.calagopus.failures import BackupsLeft, ServerForgotten
from provisioning.drivers.errors import Unknown
from provisioning.drivers.trouble import NotThere
from provisioning.drivers.types import ChangeKind, Desired, LaterCheck, Memory, Observed, ServerState
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.lib.http import quote_segment

PATCHED = "patched"
"""Under this kind it is remembered when a server was last told something."""
APART = 1.0
"""Seconds between two PATCHes of one server (contract section 0, new 1)."""
SERIES = 30.0
"""Seconds. PATCHes that follow closer than this are a series, whose last word has to be said twice."""
SERIES_END = 2.0
LATER = 50.0
"""Seconds until the machine is looked at: it stops a server within 30, and usage is 15 old (section 5.5)."""
MIB = 1024 * 1024
PATCHES = frozenset(ChangeKind) - {ChangeKind.CREATE, ChangeKind.REINSTALL, ChangeKind.DELETE}
RUNNING = ("running", "starting")


class Changes:
    """The changes of one panel's servers, for one job."""

    def __init__(self, client: Client, memory: Memory, eggs: Eggs) -> None:
        """Works on one panel for one job."""
        self._client, self._memory, self._eggs = client, memory, eggs

    def change(self, desired: Desired, observed: Observed, kinds: frozenset[ChangeKind]) -> Observed:
        """Carries all these changes out at once, and returns the fresh look after them."""
        self._keep_apart(observed.server_id)
        body = mapping.update_body(desired, observed, kinds)
        if ChangeKind.STARTUP in kinds:
            body |= self._runtime(desired, observed)
        self.tell(observed.server_id, body)
        seen = self._look(observed)
        sign = {"runtime": mapping.runtime_sign(desired.runtime)} if ChangeKind.STARTUP in kinds else {}
        return dataclasses.replace(seen, extra={**seen.extra, **sign})

    def _runtime(self, desired: Desired, observed: Observed) -> dict[str, Any]:
        """Sends changed variables, of which the machine hears with the PATCH that follows (section 5.7)."""

        def write(egg: Mapping[str, Any]) -> dict[str, Any]:
            variables = mapping.changed_variables(egg, desired)
            if variables:
                where = path("servers", observed.server_id, "variables")
                self._client.order("PUT", where, {"variables": variables})
            return mapping.runtime_body(desired, egg)

        return self._eggs.attempt(observed.extra["nest"], observed.extra["egg"], write)

    def _keep_apart(self, server_id: str) -> None:
        """Raises PanelWaiting while the server was told something less than a second ago."""
        since = self._since_told(server_id)
        if since is not None and since < APART:
            raise PanelWaiting(
                "The panel was told a change of this server just now; the next one follows in a moment.",
                reason="change_pace",
                seconds=APART - since,
            )

    def _since_told(self, server_id: str) -> float | None:
        told = self._memory.recall(PATCHED, server_id)
        # A clock that was set back must not keep a server waiting.
        return max(0.0, clock.now().timestamp() - float(told)) if told else None

    def tell(self, server_id: str, body: Mapping[str, Any]) -> None:
        """One PATCH; an empty one makes the panel tell the machine the whole state again."""
        self._note_told(server_id)
        try:
            self._client.order("PATCH", path("servers", server_id), dict(body))
        finally:
            # The panel tells the machine at the end of a call, which may take its whole 35 s.
            self._note_told(server_id)

    def _note_told(self, server_id: str) -> None:
        """Before the call for a job that dies in it, and after it because only then the second begins."""
        self._memory.store(PATCHED, server_id, clock.now().timestamp())

    def _look(self, observed: Observed) -> Observed:
        seen = reading.server(self._client.get("server", path("servers", observed.server_id)))
        if seen.server_id != observed.server_id:
            raise Unknown(f"Asked for server {observed.server_id}, the panel showed {seen.server_id}.")
        return seen

    def delete(self, server_id: str, *, backups: bool | None) -> str:
        """Deletes it, and returns what is left to tell staff. The engine's guard has judged before.

        `backups` is the product's choice (CAL-04), None where no product is mapped: then they stay, since
        nothing is destroyed by mistake, and staff are told so.
        """
        words = self._delete(server_id, backups=bool(backups))
        return words if backups is not None else f"{words} {_kept(server_id)}".strip()

    def _delete(self, server_id: str, *, backups: bool) -> str:
        self._memory.forget(PATCHED, server_id)
        try:
            self._send_delete(server_id, backups=backups, force=False)
        except NotThere:
            return ""
        except ServerForgotten:
            # Only force ends what the machine no longer knows (section 5.6): a retry never would.
            return self._force(server_id, backups=backups)
        except BackupsLeft as left:
            return _left(server_id, left)
        return ""

    def _force(self, server_id: str, *, backups: bool) -> str:
        try:
            self._send_delete(server_id, backups=backups, force=True)
        except NotThere:
            return ""
        except BackupsLeft as left:
            return _left(server_id, left)
        return f"The machine no longer knew server {server_id}: the panel was told to forget it, too."

    def _send_delete(self, server_id: str, *, backups: bool, force: bool) -> None:
        self._client.order("DELETE", path("servers", server_id), {"force": force, "delete_backups": backups})

    def reinstall(self, observed: Observed) -> None:
        """Installs once more. A failure has to be cleared first, which alone looks like success."""
        self._memory.store("reinstalling", observed.server_id, True)
        if observed.state is ServerState.INSTALL_FAILED:
            self._client.order("POST", path("servers", observed.server_id, "clear-state"), {})
        where = f"/api/client/servers/{quote_segment(observed.server_id)}/settings/install"
        self._client.order("POST", where, {"truncate_directory": False})
        self._memory.forget("reinstalling", observed.server_id)

    # --- what the machine made of it ---------------------------------------------------------------

    def later_checks(
        self, kinds: frozenset[ChangeKind], desired: Desired, observed: Observed
    ) -> list[LaterCheck]:
        """The empty PATCH that ends a series; a look at a suspension, and at limits that show."""
        if not kinds & PATCHES:
            return []
        since = self._since_told(observed.server_id)
        series = [LaterCheck("series", SERIES_END)] if since is not None and since < SERIES else []
        if ChangeKind.SUSPEND in kinds:
            return [*series, LaterCheck("suspend", LATER)]
        pairs = {name: [observed.limits.get(name), desired.limits.get(name)] for name in ("memory", "cpu")}
        changed = {name: pair for name, pair in pairs.items() if pair[1] is not None and pair[0] != pair[1]}
        return [*series, LaterCheck("resize", LATER, changed)] if changed else series

    def check(self, check: LaterCheck, observed: Observed, *, tell: bool) -> bool:
        """True if the machine does what the panel shows, or nothing is proven; False if it never arrived."""
        if check.kind == "series":
            self.tell(observed.server_id, {})
            return True
        where = path("nodes", observed.extra["node"], "servers", "resources")
        usage = reading.usage(self._client.get("resources", where), observed.server_id)
        if usage is None or usage[0] not in RUNNING or not _missed(check, usage[1] // MIB, usage[2]):
            return True
        if tell:
            self.tell(observed.server_id, {})
        return False


def _left(server_id: str, error: BackupsLeft) -> str:
    return f"Server {server_id} is deleted, but not all of its backups: {error.detail}"


def _kept(server_id: str) -> str:
    return (
        f"No product says what becomes of the backups of server {server_id}: any that it had were left on "
        "the panel."
    )


def _missed(check: LaterCheck, memory: int, cpu: int) -> bool:
    """Whether a running server shows that the machine never heard of the change."""
    if check.kind == "suspend":
        return True
    now = {"memory": memory, "cpu": cpu}
    return any(now[name] == pair[0] != pair[1] for name, pair in check.data.items() if name in now)
