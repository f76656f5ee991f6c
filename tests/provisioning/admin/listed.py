"""A panel whose lists are read: small by default, as large as a test wants it."""

from __future__ import annotations

from typing import Any

from provisioning.choices import ItemKind, SnapshotState
from provisioning.drivers.lists import EggItem, EggVariable, Item, LocationItem, NamedItem, NestItem, NodeItem
from provisioning.lib import clock
from provisioning.models import Panel, PanelItem, PanelSnapshot

JAR = EggVariable("SERVER_JARFILE", "Jar file", "The jar to run.", "server.jar", "required|string|max:20")
MOTD = EggVariable("MOTD", "Greeting", "", "Welcome", "nullable|string|max:20")
TOKEN = EggVariable("LOGIN_TOKEN", "Login token", "", "", "required|string")
VARIABLES = (JAR, MOTD, TOKEN)
IMAGES = (("Java 21", "example/java:21"), ("Java 17", "example/java:17"))
STARTUP = "java -jar {{SERVER_JARFILE}}"


def ident(panel: Panel, number: int) -> str:
    """An id as that panel has them: a number, or a uuid."""
    return str(number) if panel.driver == "pterodactyl" else f"00000000-0000-4000-8000-{number:012d}"


def snapshot(panel: Panel, **fields: Any) -> PanelSnapshot:
    """Lists that were read whole just now, unless told otherwise."""
    now = clock.now()
    defaults: dict[str, Any] = {"state": SnapshotState.COMPLETE, "started_at": now, "completed_at": now}
    return PanelSnapshot.objects.create(panel=panel, **{**defaults, **fields})


def listed(
    panel: Panel, *, nests: int = 2, eggs: int = 3, nodes: int = 2, locations: int = 2, known: bool = True
) -> Panel:
    """Reads `eggs` in each of the nests; `known` False leaves the eggs' variables unread."""
    snapshot(panel)
    rows: list[tuple[ItemKind, Item]] = []
    for nest in range(1, nests + 1):
        rows.append((ItemKind.NEST, NestItem(ident(panel, nest), f"Nest {nest}", "Games.")))
        rows += [(ItemKind.EGG, egg(panel, nest, number, known=known)) for number in range(1, eggs + 1)]
    for place in range(1, locations + 1):
        rows.append((ItemKind.LOCATION, LocationItem(ident(panel, place), f"eu-{place}", f"Europe {place}")))
    rows += [(ItemKind.NODE, node(panel, number, locations)) for number in range(1, nodes + 1)]
    if panel.driver == "calagopus":
        rows.append((ItemKind.BACKUP_CONFIGURATION, NamedItem(ident(panel, 1), "Object store")))
        rows.append((ItemKind.OAUTH_PROVIDER, NamedItem(ident(panel, 1), "Billing")))
    PanelItem.objects.bulk_create([_row(panel, kind, item) for kind, item in rows])
    return panel


def egg(panel: Panel, nest: int, number: int, *, known: bool = True) -> EggItem:
    """An egg of a nest; its id says both."""
    return EggItem(
        id=ident(panel, nest * 100 + number),
        name=f"Egg {nest}-{number}",
        nest=ident(panel, nest),
        images=IMAGES,
        startup=STARTUP,
        variables=VARIABLES if known else None,
    )


def node(panel: Panel, number: int, locations: int) -> NodeItem:
    """A node with 32 GiB of memory, half of it promised."""
    return NodeItem(
        id=ident(panel, number),
        name=f"node-{number}",
        location=ident(panel, 1 + (number - 1) % locations),
        memory=32768,
        disk=102400,
        memory_used=16384,
        disk_used=0,
        free_allocations=5,
    )


def _row(panel: Panel, kind: ItemKind, item: Item) -> PanelItem:
    return PanelItem(
        panel=panel,
        kind=kind,
        key=item.id,
        parent=item.parent,
        name=item.name,
        search=f"{item.name} {item.hint} {item.id}".lower(),
        data=item.as_json(),
        reading=1,
    )
