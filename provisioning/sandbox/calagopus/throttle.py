"""The rate limit: one bucket for each caller's address, 360 calls in 30 seconds (contract section 2.6).

The 360th call is the first that fails. Without Redis a hit in a window's last 2 seconds begins a new
one; with Redis it extends the window by 30 seconds and keeps the count.
"""

from dataclasses import dataclass

from provisioning.sandbox.calagopus.errors import PanelError
from provisioning.sandbox.calagopus.world import World

WINDOW, EDGE = 30.0, 2.0


@dataclass
class Bucket:
    """How often an address called, and until when that counts."""

    hits: int
    ends: float


class Throttle:
    """The buckets of one panel."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._buckets: dict[str, Bucket] = {}
        self._exhausted = False

    def hit(self, address: str) -> None:
        """Count a call, before anything is known about its key. Raises PanelError 429."""
        limit = self.world.settings.rate_limit
        if limit is None and not self._exhausted:
            return
        bucket = self._bucket(address)
        if self._exhausted:
            bucket.hits = max(bucket.hits, limit or 1)
        if bucket.hits >= (limit or 1):
            raise self._refusal(bucket, limit or 1)

    def _bucket(self, address: str) -> Bucket:
        """The caller's bucket with this call in it."""
        now = self.world.time()
        bucket = self._buckets.get(address)
        redis = self.world.settings.rate_redis
        if bucket is None or bucket.ends <= now or (not redis and self._runs_out(bucket, now)):
            bucket = self._buckets[address] = Bucket(0, now + WINDOW)
        elif redis and bucket.ends - now <= EDGE:
            bucket.ends += WINDOW
        bucket.hits += 1
        return bucket

    def _runs_out(self, bucket: Bucket, now: float) -> bool:
        limited = bucket.hits >= (self.world.settings.rate_limit or 1)
        return bucket.ends - now <= EDGE and not limited

    def _refusal(self, bucket: Bucket, limit: int) -> PanelError:
        seconds = max(1, round(bucket.ends - self.world.time()))
        return limited(seconds, limit, int(bucket.ends))

    def exhaust(self) -> None:
        """Refuse everybody until reset()."""
        self._exhausted = True

    def reset(self) -> None:
        """Forget what was counted."""
        self._exhausted = False
        self._buckets.clear()


def limited(seconds: int, limit: int, ends: int) -> PanelError:
    """The panel's 429."""
    headers = {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(ends),
        "Retry-After": str(seconds),
    }
    return PanelError(429, f"you are ratelimited, retry in {seconds}s", headers=headers)
