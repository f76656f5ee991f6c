"""Every figure with its goal: the table of issue 4, section B. Ratios, counts, ms or seconds."""

from __future__ import annotations

from dataclasses import dataclass

Value = float | bool


@dataclass(frozen=True)
class Goal:
    """One figure: what it is, and from which side its bound must be reached."""

    key: str
    what: str
    bound: Value
    at_least: bool = False

    def met(self, value: Value) -> bool:
        """Whether a measured value reaches the goal."""
        return value >= self.bound if self.at_least else value <= self.bound

    @property
    def words(self) -> str:
        """The goal as the table shows it."""
        if isinstance(self.bound, bool):
            return "yes" if self.bound else "no"
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


GOALS = (
    Goal(
        "intake.sqlite.ratio",
        "accepted webhooks a second ÷ what a bare WSGI app reaches, SQLite",
        0.5,
        at_least=True,
    ),
    Goal("intake.postgres.ratio", "the same on PostgreSQL and Redis", 0.5, at_least=True),
    Goal("intake.lost", "webhooks accepted and then lost, over 10,000 on each database, with kills", 0),
    Goal("calls.create_new", "panel calls of a create for a new customer, median", 3),
    Goal("calls.create_known", "panel calls of a create for a known customer, median", 2),
    Goal("calls.suspend", "panel calls of a suspension, median", 2),
    Goal("calls.resize", "panel calls of a change of package, median", 2),
    Goal("calls.terminate", "panel calls of a delete, median", 3),
    Goal(
        "paid_to_server.orm.p95_ms", "webhook to the create's answer, less the panel's time (ms), SQLite", 500
    ),
    Goal("paid_to_server.redis.p95_ms", "the same on PostgreSQL and Redis (ms)", 300),
    Goal("thousand_orders.ratio", "1,000 orders at 240 calls a minute: time ÷ what 2 calls each need", 1.15),
    Goal("thousand_orders.suspend_s", "how long a suspension waits meanwhile (s of the panel's time)", 5),
    Goal("drift.calls_10000", "panel calls of a drift pass over 10,000 servers", 110),
    Goal("scale.ratio", "orders a second of two clusters ÷ one, one worker each", 1.8, at_least=True),
    Goal("scale.doubles", "servers made twice meanwhile", 0),
    Goal("admin.p95_ms", "service list, service page, dashboard among 100,000 services (ms)", 200),
    Goal(
        "admin.queries_constant", "as many queries among 100,000 services as among 100", True, at_least=True
    ),
    Goal("sweep.100000.s", "a sweep that finds 10 due among 100,000 services (s)", 1),
)
BY_KEY = {goal.key: goal for goal in GOALS}
