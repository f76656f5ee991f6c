"""What a plan is on Calagopus besides the base class's: custom feature limits, an egg that stays (CAL-24).

Pure but for what is remembered of the panel: which custom feature limits it does not keep.
"""

from __future__ import annotations

from provisioning.drivers.base import PanelDriver
from provisioning.drivers.calagopus import mapping
from provisioning.drivers.types import Change, ChangeKind, Desired, Look, Observed, Plan

DROPPED = "dropped_limit"
"""Under this kind it is remembered which custom feature limits the panel does not keep."""


class CalagopusPlanning(PanelDriver):
    """The part of the driver that compares."""

    def plan_notes(self, desired: Desired, observed: Look) -> list[str]:
        """What a change leaves alone."""
        if not isinstance(observed, Observed):
            return []
        notes = [
            _dropped_words(key) for key in mapping.custom_changes(desired, observed) if self._dropped(key)
        ]
        if _another_egg(desired, observed):
            notes.append("The new product uses another egg; this server keeps its own, with its variables.")
        if (desired.target.get("node") or observed.extra["node"]) != observed.extra["node"]:
            notes.append("The new product is on another node; this server stays where it is.")
        return notes

    def calls_of(self, plan: Plan) -> int:
        """One PATCH for all, and the look after it; variables before it; new limits are looked for later."""
        kinds = plan.kinds()
        return 2 + (ChangeKind.STARTUP in kinds) + (ChangeKind.RESIZE in kinds)

    def _dropped(self, key: str) -> bool:
        return bool(self.memory.recall(DROPPED, key))

    def _plan_limits(self, desired: Desired, observed: Observed) -> list[Change]:
        changes = super()._plan_limits(desired, observed)
        custom = mapping.custom_changes(desired, observed)
        open_ones = {k: v for k, v in custom.items() if v[0] is not None or not self._dropped(k)}
        if not open_ones:
            return changes
        parts = [change.summary for change in changes]
        parts += [f"{key} {shown} → {wanted}" for key, (shown, wanted) in open_ones.items()]
        before = {key: shown for key, (shown, _) in open_ones.items()}
        after = {key: wanted for key, (_, wanted) in open_ones.items()}
        for change in changes:
            before, after = {**change.before, **before}, {**change.after, **after}
        return [Change(ChangeKind.RESIZE, ", ".join(parts), before, after)]

    def _plan_existing(self, desired: Desired, observed: Observed) -> list[Change]:
        changes = super()._plan_existing(desired, observed)
        done = observed.extra.get("runtime") == mapping.runtime_sign(desired.runtime)
        if done or _another_egg(desired, observed):
            # Image, startup and variables of one egg make no sense on another.
            return [change for change in changes if change.kind is not ChangeKind.STARTUP]
        return changes

    def _note_dropped(self, desired: Desired, seen: Observed) -> None:
        """Remembers which custom feature limits the panel did not keep, and says so (CAL-24)."""
        for key, (shown, _) in mapping.custom_changes(desired, seen).items():
            if shown is None:
                self.memory.store(DROPPED, key, True)
                self.remarks.append(_dropped_words(key))


def _another_egg(desired: Desired, observed: Observed) -> bool:
    return desired.target.get("egg") not in (None, observed.extra.get("egg"))


def _dropped_words(key: str) -> str:
    return f"The panel keeps no feature limit “{key}”: none of its extensions knows it."
