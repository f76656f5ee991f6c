"""The activity log, newest first: a server's, a user's, the administrators'. Few events are kept."""

from provisioning.sandbox.calagopus.calling import Call, Endpoints, paged
from provisioning.sandbox.calagopus.rows import Activity, Server, User
from provisioning.sandbox.calagopus.serializers import Shown, person
from provisioning.sandbox.calagopus.world import State, shown_time
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("client")
ADMIN = Endpoints("admin")


def _person(state: State, uuid: str | None) -> Shown | None:
    found = state.users.get(uuid or "")
    return person(found) if found else None


def _shown(state: State, row: Activity, *, named: bool, scheduled: bool = False) -> Shown:
    """A line; one's own log does not say whose it is."""
    return {
        **({"user": _person(state, row.user)} if named else {}),
        "impersonator": _person(state, row.impersonator),
        "event": row.event,
        "ip": row.ip,
        "data": row.data,
        "is_api": row.ip is not None,
        **({"is_schedule": False} if scheduled else {}),
        "created": shown_time(row.created),
    }


def _rows(call: Call, kind: str) -> list[Activity]:
    return [row for row in reversed(call.state.activities) if row.kind == kind]


@ENDPOINTS.on("GET", "/servers/{server}/activity", "activity.read")
def server_activity(call: Call) -> Response:
    """What was done to a server by its customers and its daemon."""
    server = call.bound(Server)
    rows = [row for row in _rows(call, "server") if row.server == server.uuid]
    return paged(call, "activities", rows, lambda r: _shown(call.state, r, named=True, scheduled=True))


def _of_user(call: Call, user: User) -> Response:
    rows = [row for row in _rows(call, "user") if row.user == user.uuid]
    return paged(call, "activities", rows, lambda r: _shown(call.state, r, named=False))


@ENDPOINTS.on("GET", "/account/activity", "activity.read")
def account_activity(call: Call) -> Response:
    """What was done with one's own account."""
    return _of_user(call, call.user)


@ADMIN.on("GET", "/users/{user}/activity", "users.activity")
def user_activity(call: Call) -> Response:
    """What was done with a user's account."""
    return _of_user(call, call.bound(User))


@ADMIN.on("GET", "/activity", "activity.read")
def admin_activity(call: Call) -> Response:
    """What administrators did."""
    return paged(call, "activities", _rows(call, "admin"), lambda r: _shown(call.state, r, named=True))


ENDPOINTS.routes += ADMIN.routes
