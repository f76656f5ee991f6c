"""The panel's rate windows: a fixed minute for each user and API, shared by his keys (section 1.4)."""

from dataclasses import dataclass

from provisioning.sandbox.pterodactyl.errors import PanelError
from provisioning.sandbox.world import User, World

WINDOW = 60


@dataclass
class Window:
    """Calls counted since ``start`` (world seconds)."""

    start: float
    used: int = 0


class Throttle:
    """Counts calls and refuses those over the limit; without a limit there are no headers either."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.windows: dict[tuple[str, str], Window] = {}

    def hit(self, api: str, user: User) -> dict[str, str]:
        """Count a call of this user; the headers of its answer. Raises 429 over the limit."""
        limit = self.limit(api)
        if limit is None:
            return {}
        window = self._window(api, user)
        if window.used >= limit:
            raise self._refusal(limit, window)
        window.used += 1
        return {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(limit - window.used)}

    def limit(self, api: str) -> int | None:
        """Calls a minute on one of the two APIs."""
        settings = self.world.settings
        return settings.client_limit if api == "client" else settings.application_limit

    def exhaust(self) -> None:
        """Use up the windows of every user on both APIs."""
        for api in ("application", "client"):
            for user in self.world.state.users.values():
                self._window(api, user).used = self.limit(api) or 0

    def reset(self) -> None:
        """Start new windows for everybody."""
        self.windows.clear()

    def _window(self, api: str, user: User) -> Window:
        now = self.world.time()
        window = self.windows.get((api, user.uuid))
        if window is None or now - window.start >= WINDOW:
            window = self.windows[api, user.uuid] = Window(now)
        return window

    def _refusal(self, limit: int, window: Window) -> PanelError:
        left = max(1, int(window.start + WINDOW - self.world.time()))
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": "0",
            "Retry-After": str(left),
            "X-RateLimit-Reset": str(int(self.world.time()) + left),
        }
        return PanelError(429, "ThrottleRequestsException", "Too Many Attempts.", headers=headers)
