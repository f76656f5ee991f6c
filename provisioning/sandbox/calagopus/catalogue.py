"""Nests, eggs and their variables (contract section 4.2)."""

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, success
from provisioning.sandbox.calagopus.errors import conflict
from provisioning.sandbox.calagopus.places import change, check_name
from provisioning.sandbox.calagopus.rows import Egg, EggVariable, Nest
from provisioning.sandbox.calagopus.schema import (
    Reader,
    Struct,
    anything,
    flag,
    free,
    integer,
    mapping,
    needed,
    several,
    text,
)
from provisioning.sandbox.calagopus.serializers import egg as egg_shown
from provisioning.sandbox.calagopus.serializers import egg_variable
from provisioning.sandbox.calagopus.serializers import nest as nest_shown
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
BODY = (
    "config_files", "config_startup", "config_stop", "config_script", "force_outgoing_ip", "separate_port",
    "features", "file_denylist",
)  # fmt: skip
NEST = Struct("CreateNestOptions", needed("author", text), needed("name", text), free("description", text))
EGG_READERS: dict[str, Reader] = {
    "author": text,
    "name": text,
    "description": text,
    "config_files": several(anything),
    "config_startup": anything,
    "config_stop": anything,
    "config_script": anything,
    "startup_commands": mapping(text),
    "force_outgoing_ip": flag,
    "separate_port": flag,
    "features": several(text),
    "docker_images": mapping(text),
    "file_denylist": several(text),
}
EGG = Struct(
    "CreateNestEggOptions",
    *(free(n, r) if n == "description" else needed(n, r) for n, r in EGG_READERS.items()),
)
EGG_UPDATE = Struct("UpdateNestEggOptions", *(free(n, r) for n, r in EGG_READERS.items()))
EGG_RULES = (
    rule("author", "length:2,255"),
    rule("name", "length:3,255"),
    rule("description", "length:1,1024"),
    rule("startup_commands", "filled:startup command", "distinct:startup command"),
    rule("docker_images", "distinct:docker image"),
)
VARIABLE = Struct(
    "CreateNestEggVariableOptions",
    needed("name", text),
    needed("name_translations", mapping(text)),
    free("description", text),
    needed("description_translations", mapping(text)),
    needed("order", integer("i16")),
    needed("env_variable", text),
    free("default_value", text),
    needed("user_viewable", flag),
    needed("user_editable", flag),
    needed("secret", flag),
    needed("rules", several(text)),
)
VARIABLE_RULES = (
    rule("name", "length:3,255"),
    rule("env_variable", "length:1,255"),
    rule("default_value", "length:,1024"),
)


@ENDPOINTS.on("GET", "/nests", "nests.read")
def nests_list(call: Call) -> Response:
    """All nests."""
    return paged(call, "nests", call.state.nests.values(), nest_shown, lambda n: [n.name])


@ENDPOINTS.on("GET", "/nests/eggs", "eggs.read")
def catalogue_show(call: Call) -> Response:
    """The whole catalogue in one unpaged answer; nests without eggs are missing."""
    nests = [(nest, _eggs(call, nest)) for nest in call.state.nests.values()]
    shown = [{"nest": nest_shown(n), "eggs": [egg_shown(e) for e in eggs]} for n, eggs in nests if eggs]
    return success({"nests": shown})


def _eggs(call: Call, nest: Nest) -> list[Egg]:
    return [egg for egg in call.state.eggs.values() if egg.nest == nest.uuid]


@ENDPOINTS.on("GET", "/nests/{nest}")
def nest_show(call: Call) -> Response:
    """One nest."""
    return success({"nest": nest_shown(call.bound(Nest))})


@ENDPOINTS.on(
    "POST",
    "/nests",
    "nests.create",
    struct=NEST,
    nested=True,
    rules=(rule("author", "length:2,255"), rule("name", "length:1,255")),
)
def nest_create(call: Call) -> Response:
    """A new nest."""
    body, rows = call.body, call.state.nests
    check_name(rows.values(), body["name"], "nest")
    row = Nest(*call.world.stamp(), body["name"], body["author"], body.get("description"))
    rows[row.uuid] = row
    return success({"nest": nest_shown(row)})


@ENDPOINTS.on("DELETE", "/nests/{nest}", "nests.delete", struct=Struct("Payload"))
def nest_delete(call: Call) -> Response:
    """Remove a nest without eggs; unlike most deletes it wants a content type."""
    row = call.bound(Nest)
    if _eggs(call, row):
        raise conflict("nest has eggs, cannot delete")
    del call.state.nests[row.uuid]
    return done()


@ENDPOINTS.on("GET", "/nests/{nest}/eggs", "eggs.read")
def eggs_list(call: Call) -> Response:
    """The eggs of a nest."""
    return paged(call, "eggs", _eggs(call, call.bound(Nest)), egg_shown, lambda e: [e.name])


@ENDPOINTS.on("GET", "/nests/{nest}/eggs/{egg}")
def egg_show(call: Call) -> Response:
    """One egg, without its variables whatever is asked for."""
    return success({"egg": egg_shown(call.bound(Egg))})


@ENDPOINTS.on("POST", "/nests/{nest}/eggs", "eggs.create", struct=EGG, rules=EGG_RULES)
def egg_create(call: Call) -> Response:
    """A new egg; names are unique in a nest."""
    body, nest = call.body, call.bound(Nest)
    check_name(_eggs(call, nest), body["name"], "egg")
    row = Egg(
        *call.world.stamp(),
        nest=nest.uuid,
        description=body.get("description"),
        body={name: body[name] for name in BODY},
        **{name: body[name] for name in ("name", "author", "startup_commands", "docker_images")},
    )
    call.state.eggs[row.uuid] = row
    return success({"egg": egg_shown(row)})


@ENDPOINTS.on("PATCH", "/nests/{nest}/eggs/{egg}", "eggs.update", struct=EGG_UPDATE, rules=EGG_RULES)
def egg_update(call: Call) -> Response:
    """Change what is sent."""
    row, body = call.bound(Egg), call.body
    check_name(_eggs(call, call.bound(Nest)), body.get("name"), "egg", row)
    row.body.update({name: body[name] for name in BODY if body.get(name) is not None})
    change(row, body, ("description",))
    return done()


@ENDPOINTS.on("DELETE", "/nests/{nest}/eggs/{egg}", "eggs.delete")
def egg_delete(call: Call) -> Response:
    """Remove an egg that no server uses, with its variables."""
    row, state = call.bound(Egg), call.state
    if any(server.egg == row.uuid for server in state.servers.values()):
        raise conflict("egg has servers, cannot delete")
    for variable in state.variables_of(row.uuid):
        del state.egg_variables[variable.uuid]
    del state.eggs[row.uuid]
    return done()


@ENDPOINTS.on("GET", "/nests/{nest}/eggs/{egg}/variables", "eggs.read")
def variables_list(call: Call) -> Response:
    """The egg's variables, unpaged, in their order."""
    rows = call.state.variables_of(call.bound(Egg).uuid)
    return success({"variables": [egg_variable(row) for row in rows]})


@ENDPOINTS.on(
    "POST", "/nests/{nest}/eggs/{egg}/variables", "eggs.update", struct=VARIABLE, rules=VARIABLE_RULES
)
def variable_create(call: Call) -> Response:
    """A new variable; its name in the environment is unique in the egg."""
    body, egg, state = call.body, call.bound(Egg), call.state
    call.validate((rule("rules", "variable_rules"),), nested=True)
    if any(v.env_variable == body["env_variable"] for v in state.variables_of(egg.uuid)):
        raise conflict("variable with name already exists")
    row = EggVariable(
        *call.world.stamp(),
        egg=egg.uuid,
        **{name: body[name] for name in ("name", "env_variable", "rules")},
    )
    change(row, body)
    row.is_secret = body["secret"]
    state.egg_variables[row.uuid] = row
    return success({"variable": egg_variable(row)})
