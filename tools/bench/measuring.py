"""Small arithmetic that the parts share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


class Failed(Exception):
    """A run did not do what it measures; its figure would mean nothing."""


def require(fact: bool, words: str) -> None:
    """Ends the run with these words unless the fact holds. Raises Failed."""
    if not fact:
        raise Failed(words)


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed. Raises ValueError for none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("There is nothing to take a percentile of.")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def best_ratio(rounds: Sequence[tuple[float, float]]) -> float:
    """The best of a few rounds, each a value and its reference of the same moment."""
    return max(value / reference for value, reference in rounds)
