"""Locations, nests and eggs (contract section 4)."""

from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl.calling import Call, Endpoints, no_content, success
from provisioning.sandbox.pterodactyl.errors import display, not_found
from provisioning.sandbox.pterodactyl.listing import partials
from provisioning.sandbox.pterodactyl.reading import readable
from provisioning.sandbox.pterodactyl.relations import shown
from provisioning.sandbox.pterodactyl.serializers import listed
from provisioning.sandbox.pterodactyl.validation import Field
from provisioning.sandbox.world import Egg, Location, Nest

ENDPOINTS = Endpoints("application")
readable(ENDPOINTS, "locations", "location", partials("short long"), ("id",))
readable(ENDPOINTS, "nests", "nest", {}, ())


def location_fields(call: Call, location: Location | None) -> list[Field]:
    """The rules of POST and PATCH."""

    def free(value: object) -> bool:
        return not any(row.short == value for row in call.state.locations.values() if row is not location)

    return [
        Field("short", "required|string|between:1,60", name="Location Identifier", unique=free),
        Field("long", "sometimes|nullable|string|between:1,191", name="Location Description"),
    ]


@ENDPOINTS.on("POST", "/locations", "locations")
def location_create(call: Call) -> Response:
    """A new location."""
    call.validate(location_fields(call, None))
    location = Location(*call.world.stamp("locations"), short=str(call.text("short")), long=call.text("long"))
    call.state.locations[location.id] = location
    meta = {"resource": f"{call.request.base_url}/api/application/locations/{location.id}"}
    return success({**shown(call, "location", location), "meta": meta}, status=201)


@ENDPOINTS.on("PATCH", "/locations/{location}", "locations")
def location_update(call: Call) -> Response:
    """Rename a location."""
    location = call.bound(Location)
    call.validate(location_fields(call, location))
    location.short = str(call.text("short"))
    if call.has("long"):
        location.long = call.text("long")
    location.updated_at = call.world.now()
    return success(shown(call, "location", location))


@ENDPOINTS.on("DELETE", "/locations/{location}", "locations")
def location_delete(call: Call) -> Response:
    """Remove a location without nodes."""
    location = call.bound(Location)
    if any(node.location_id == location.id for node in call.state.nodes.values()):
        raise display(
            "Cannot delete a location that has active nodes attached to it.", "HasActiveNodesException"
        )
    del call.state.locations[location.id]
    return no_content()


@ENDPOINTS.on("GET", "/nests/{nest}/eggs", "eggs")
def egg_list(call: Call) -> Response:
    """All eggs of a nest, without pages."""
    nest = call.bound(Nest)
    eggs = [egg for egg in call.state.eggs.values() if egg.nest_id == nest.id]
    return success(listed([shown(call, "egg", egg) for egg in eggs]))


@ENDPOINTS.on("GET", "/nests/{nest}/eggs/{egg}", "eggs")
def egg_get(call: Call) -> Response:
    """One egg of this nest."""
    egg = call.bound(Egg)
    if egg.nest_id != call.bound(Nest).id:
        raise not_found()
    return success(shown(call, "egg", egg))
