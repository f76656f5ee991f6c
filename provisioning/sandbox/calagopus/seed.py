"""What a fresh sandbox holds: nests and eggs, an administrator with a key, a location with nodes."""

from provisioning.sandbox.calagopus.permissions import ADMIN_KEYS, SERVER_KEYS, USER_KEYS
from provisioning.sandbox.calagopus.rows import (
    Allocation,
    AllocationLink,
    ApiKey,
    BackupConfiguration,
    Egg,
    EggVariable,
    Location,
    Nest,
    Node,
    OAuthProvider,
    Server,
    User,
)
from provisioning.sandbox.calagopus.world import World, letters, new_key

AUTHOR = "ops@example.com"
NESTS = ("Minecraft", "Source Engine", "Voice Servers", "Rust")
IMAGE = "games/java:"
IMAGES = {f"Java {version}": f"{IMAGE}{version}" for version in (21, 17, 11)}
STARTUP = "java -Xms128M -Xmx{{SERVER_MEMORY}}M -jar {{SERVER_JARFILE}}"
# name, variable, default, rules, whether customers see it
Variable = tuple[str, str, str | None, list[str], bool]
JAR: Variable = ("Server Jar File", "SERVER_JARFILE", "server.jar", ["required", "string", "max:64"], True)
VERSION: Variable = ("Server Version", "VANILLA_VERSION", "latest", ["required", "string", "max:15"], True)
EGGS: tuple[tuple[str, tuple[Variable, ...]], ...] = (
    ("Bungeecord", (JAR,)),
    ("Forge Minecraft", (JAR,)),
    ("Sponge", (JAR,)),
    ("Vanilla Minecraft", (JAR, VERSION)),
    (
        "Paper",
        (
            ("Minecraft Version", "MINECRAFT_VERSION", "latest", ["nullable", "string", "max:20"], True),
            JAR,
            ("Download Path", "DL_PATH", None, ["nullable", "string"], False),
            ("View Distance", "VIEW_DISTANCE", "10", ["required", "integer", "between:2,32"], True),
        ),
    ),
)
BODY: dict[str, object] = {
    "config_files": [],
    "config_startup": {"done": [")! For help, type "], "strip_ansi": False},
    "config_stop": {"type": "command", "value": "stop"},
    "config_script": {
        "container": "games/installer:latest",
        "entrypoint": "bash",
        "content": "#!/bin/bash\necho installed\n",
    },
    "force_outgoing_ip": False,
    "separate_port": False,
    "features": ["eula"],
    "file_denylist": [],
}
PROVIDER: dict[str, object] = {
    "name": "Billing",
    "description": None,
    "client_id": "bridge",
    "auth_url": "https://billing.example.com/oauth/authorize",
    "token_url": "https://billing.example.com/oauth/token",
    "info_url": "https://billing.example.com/api/me",
    "scopes": ["profile"],
    "identifier_path": "$.id",
    "email_path": "$.email",
    "username_path": None,
    "name_first_path": "$.first_name",
    "name_last_path": "$.last_name",
    "enabled": True,
    "login_only": True,
    "login_bypass_2fa": False,
    "link_viewable": True,
    "user_manageable": False,
    "basic_auth": False,
}
FIRST_PORT, PORTS = 25565, 20


def seed_admin(world: World, *, key: str = "") -> str:
    """An administrator and his key, which has every permission. Returns the key."""
    admin = User(*world.stamp(), "admin", "admin@example.com", "Ad", "Min", admin=True, password=letters(32))
    world.state.users[admin.uuid] = admin
    lists = (list(USER_KEYS), list(ADMIN_KEYS), list(SERVER_KEYS))
    row = ApiKey(*world.stamp(), admin.uuid, "bridge", key or new_key(), *lists)
    world.state.keys[row.uuid] = row
    return row.token


def seed_catalogue(world: World) -> None:
    """Four nests, and five eggs in the first one."""
    nests = [Nest(*world.stamp(), name, AUTHOR, f"Games of the kind {name}.") for name in NESTS]
    world.state.nests.update({nest.uuid: nest for nest in nests})
    for name, variables in EGGS:
        _egg(world, nests[0], name, variables)


def _egg(world: World, nest: Nest, name: str, variables: tuple[Variable, ...]) -> None:
    egg = Egg(*world.stamp(), nest.uuid, name, AUTHOR, {"Default": STARTUP}, IMAGES, body=dict(BODY))
    world.state.eggs[egg.uuid] = egg
    for order, (label, variable, default, rules, visible) in enumerate(variables):
        row = EggVariable(*world.stamp(), egg.uuid, label, variable, rules, default, order=order)
        row.user_viewable = row.user_editable = visible
        world.state.egg_variables[row.uuid] = row


def seed_services(world: World) -> None:
    """A place for backups, and billing as a sign-in provider."""
    local = BackupConfiguration(*world.stamp(), "Local", "local")
    world.state.backup_configurations[local.uuid] = local
    provider = OAuthProvider(*world.stamp(), "Billing", {**PROVIDER, "client_secret": letters(32)})
    world.state.oauth_providers[provider.uuid] = provider


def seed_fleet(world: World, *, nodes: int = 2, ports: int = PORTS) -> None:
    """A location and its nodes with free allocations, ready to take servers."""
    state = world.state
    place = Location(*world.stamp(), "eu-1", "Europe 1", "DE", next(iter(state.backup_configurations), None))
    state.locations[place.uuid] = place
    for number in range(1, nodes + 1):
        _node(world, f"node-{number}", place, f"192.0.2.{number}", ports)


def _node(world: World, name: str, place: Location, address: str, ports: int) -> None:
    node = Node(*world.stamp(), name, place.uuid, f"https://{name}.example.com:8080/", 65536, 512000)
    node.token_id, node.token = letters(16), letters(64)
    world.state.nodes[node.uuid] = node
    for port in range(FIRST_PORT, FIRST_PORT + ports):
        row = Allocation(*world.stamp(), node.uuid, address, port)
        world.state.allocations[row.uuid] = row


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
    made = [Nest(*world.stamp(), f"Nest {number}", AUTHOR) for number in range(1, nests + 1)]
    state.nests.update({nest.uuid: nest for nest in made})
    for number in range(1, eggs + 1):
        _egg(world, made[number % nests], f"Game {number}", EGGS[number % len(EGGS)][1])
    places = [Location(*world.stamp(), f"place-{number}") for number in range(1, locations + 1)]
    state.locations.update({place.uuid: place for place in places})
    for number in range(1, nodes + 1):
        _node(world, f"large-{number}", places[number % locations], "198.51.100.7", ports)


def seed_servers(world: World, count: int, *, owner_id: str, mark: str = "load-{}") -> None:
    """So many installed servers of one owner on the first node, external ids by a pattern (for load)."""
    state = world.state
    node = next(iter(state.nodes.values()))
    egg = next(e for e in state.eggs.values() if e.name == "Vanilla Minecraft")
    limits: dict[str, int | None] = {
        "cpu": 100,
        "memory": 1024,
        "memory_overhead": 0,
        "swap": 0,
        "disk": 2048,
    }
    limits["io_weight"] = None
    features = {"allocations": 0, "databases": 0, "backups": 0, "schedules": 0}
    for number in range(1, count + 1):
        port = Allocation(*world.stamp(), node.uuid, "198.51.100.1", FIRST_PORT + number)
        server = Server(
            *world.stamp(),
            name=f"Server {number}",
            owner=owner_id,
            node=node.uuid,
            egg=egg.uuid,
            startup=STARTUP,
            image=next(iter(egg.docker_images.values())),
            limits=dict(limits),
            feature_limits=dict(features),
            external_id=mark.format(number),
        )
        link = AllocationLink(*world.stamp(), server.uuid, port.uuid)
        server.primary = link.uuid
        state.allocations[port.uuid], state.links[link.uuid] = port, link
        state.servers[server.uuid] = server
