"""What a fresh sandbox holds: nests and eggs, an administrator with two keys, a location with nodes.

Eggs have the names, ids, order and variables of a stock panel 1.11.7; their texts are short ones of our own.
"""

from provisioning.sandbox.core import random_text
from provisioning.sandbox.world import (
    Allocation,
    ApiKey,
    Egg,
    EggVariable,
    Location,
    Nest,
    Node,
    Server,
    User,
    World,
    new_key,
    new_uuid,
)

AUTHOR = "support@pterodactyl.io"
OTHER_AUTHORS = {"Paper": "parker@pterodactyl.io"}
JAVA = "ghcr.io/pterodactyl/yolks:java_"
JAVA_IMAGES = {f"Java {version}": f"{JAVA}{version}" for version in (21, 17, 16, 11, 8)}
MEMORY = "java -Xms128M -XX:MaxRAMPercentage=95.0"
PAPER = f"{MEMORY} -Dterminal.jline=false -Dterminal.ansi=true -jar {{{{SERVER_JARFILE}}}}"
JAR = f"{MEMORY} -jar {{{{SERVER_JARFILE}}}}"
JAR_RULES = r"required|regex:/^([\w\d._-]+)(\.jar)$/"
MINECRAFT_RULES = "nullable|string|max:20"
VERSION_RULES = "required|string|between:3,15"
NESTS = ("Minecraft", "Source Engine", "Voice Servers", "Rust")
# name, description, variable, default, rules, whether customers see it
Variable = tuple[str, str, str, str, str, bool]
JARFILE: Variable = ("Server Jar File", "The jar to run.", "SERVER_JARFILE", "server.jar", JAR_RULES, True)
EGGS: tuple[tuple[str, str, tuple[Variable, ...]], ...] = (
    ("Bungeecord", JAR, (JARFILE,)),
    ("Forge Minecraft", JAR, (JARFILE,)),
    ("Sponge (SpongeVanilla)", JAR, (JARFILE,)),
    (
        "Vanilla Minecraft",
        JAR,
        (
            JARFILE,
            ("Server Version", "Which to install.", "VANILLA_VERSION", "latest", VERSION_RULES, True),
        ),
    ),
    (
        "Paper",
        PAPER,
        (
            ("Minecraft Version", "Which to install.", "MINECRAFT_VERSION", "latest", MINECRAFT_RULES, True),
            JARFILE,
            ("Download Path", "Where to download from.", "DL_PATH", "", "nullable|string", False),
            ("Build Number", "Which to install.", "BUILD_NUMBER", "latest", "required|string|max:20", True),
        ),
    ),
)  # fmt: skip
CONFIG: dict[str, object] = {
    "files": {
        "server.properties": {
            "parser": "properties",
            "find": {
                "server-ip": "0.0.0.0",  # noqa: S104 - a text of the egg
                "server-port": "{{server.build.default.port}}",
                "query.port": "{{server.build.default.port}}",
            },
        }
    },
    "startup": {"done": ")! For help, type "},
    "stop": "stop",
    "logs": [],
    "file_denylist": [],
    "extends": None,
}
SCRIPT: dict[str, object] = {
    "privileged": True,
    "install": "#!/bin/ash\r\necho installed",
    "entry": "ash",
    "container": "ghcr.io/pterodactyl/installers:alpine",
    "extends": None,
}
FIRST_PORT, PORTS = 25565, 20
VANILLA = 4


def seed_panel(world: World, *, application_key: str = "", client_key: str = "") -> tuple[str, str]:
    """A panel just installed: nests, eggs, an administrator. Returns both his keys, application first."""
    for name in NESTS:
        nest = Nest(*world.stamp("nests"), new_uuid(), name, AUTHOR, f"Games of the kind {name}.")
        world.state.nests[nest.id] = nest
    for name, startup, variables in EGGS:
        _egg(world, name, startup, variables)
    admin = User(
        *world.stamp("users"), new_uuid(), "admin", "admin@example.com", "Ad", "Min", root_admin=True
    )
    world.state.users[admin.id] = admin
    tokens = (application_key or new_key("ptla_"), client_key or new_key("ptlc_"))
    for token in tokens:
        key = ApiKey(*world.stamp("keys"), admin.id, token)
        world.state.keys[key.id] = key
    return tokens


def _egg(world: World, name: str, startup: str, variables: tuple[Variable, ...], *, nest: int = 1) -> None:
    stamp = world.stamp("eggs")
    rows = [_variable(world, stamp[0], variable) for variable in variables]
    egg = Egg(
        *stamp,
        uuid=new_uuid(),
        nest_id=nest,
        name=name,
        author=OTHER_AUTHORS.get(name, AUTHOR),
        description=f"A server of the kind {name}.",
        docker_images=JAVA_IMAGES,
        startup=startup,
        config=CONFIG,
        script=SCRIPT,
        features=["eula", "java_version", "pid_limit"],
        variables=rows,
    )
    world.state.eggs[egg.id] = egg


def _variable(world: World, egg_id: int, variable: Variable) -> EggVariable:
    name, description, env_variable, default, rules, visible = variable
    stamp = world.stamp("egg_variables")
    return EggVariable(*stamp, egg_id, name, description, env_variable, default, rules, visible, visible)


def seed_fleet(world: World, *, nodes: int = 2, ports: int = PORTS) -> None:
    """A location and its nodes with free allocations, ready to take servers."""
    location = Location(*world.stamp("locations"), short="eu-1", long="Europe 1")
    world.state.locations[location.id] = location
    for number in range(1, nodes + 1):
        node = _node(world, f"node-{number}", location.id)
        for port in range(FIRST_PORT, FIRST_PORT + ports):
            row = Allocation(*world.stamp("allocations"), node.id, f"192.0.2.{number}", port)
            world.state.allocations[row.id] = row


def seed_servers(world: World, count: int, *, owner_id: int, mark: str = "load-{}") -> None:
    """So many installed servers of one owner on the first node, external ids by a pattern (for load)."""
    node = next(iter(world.state.nodes.values()))
    egg = world.state.eggs[VANILLA]
    for number in range(1, count + 1):
        allocation = Allocation(*world.stamp("allocations"), node.id, node.fqdn, FIRST_PORT + number)
        server = Server(
            *world.stamp("servers"),
            uuid=new_uuid(),
            name=f"Server {number}",
            owner_id=owner_id,
            node_id=node.id,
            allocation_id=allocation.id,
            egg_id=egg.id,
            startup=egg.startup,
            image=next(iter(egg.docker_images.values())),
            memory=1024,
            swap=0,
            disk=2048,
            io=500,
            cpu=100,
            external_id=mark.format(number),
            variables={v.env_variable: v.default_value for v in egg.variables},
        )
        allocation.server_id = server.id
        world.state.allocations[allocation.id] = allocation
        world.state.servers[server.id] = server


def seed_large(
    world: World,
    *,
    nests: int = 60,
    eggs: int = 1500,
    nodes: int = 300,
    locations: int = 40,
    ports: int = 4,
) -> None:
    """A large host's catalogue and machines besides what is there: so many more of each, spread evenly."""
    state = world.state
    made_nests = [
        Nest(*world.stamp("nests"), new_uuid(), f"Nest {number}", AUTHOR, f"Games of kind {number}.")
        for number in range(1, nests + 1)
    ]
    state.nests.update({nest.id: nest for nest in made_nests})
    for number in range(1, eggs + 1):
        variables = EGGS[number % len(EGGS)][2]
        _egg(world, f"Game {number}", JAR, variables, nest=made_nests[number % nests].id)
    places = [
        Location(*world.stamp("locations"), short=f"place-{number}", long=f"Place {number}")
        for number in range(1, locations + 1)
    ]
    state.locations.update({place.id: place for place in places})
    for number in range(1, nodes + 1):
        node = _node(world, f"large-{number}", places[number % locations].id)
        for port in range(FIRST_PORT, FIRST_PORT + ports):
            row = Allocation(*world.stamp("allocations"), node.id, "198.51.100.7", port)
            state.allocations[row.id] = row


def _node(world: World, name: str, location_id: int) -> Node:
    node = Node(
        *world.stamp("nodes"),
        uuid=new_uuid(),
        name=name,
        location_id=location_id,
        fqdn=f"{name}.example.com",
        scheme="https",
        memory=65536,
        disk=512000,
        daemon_token_id=random_text(16),
        daemon_token=random_text(64),
    )
    world.state.nodes[node.id] = node
    return node
