"""The product form of Pterodactyl: what staff fill in, its units, and what is refused when saving."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from provisioning.drivers.spec import FieldKind, ProductSpec, SpecField

_PORTS = re.compile(r"(\d{4,5})(?:-(\d{4,5}))?")
_THREAD = re.compile(r"\d{1,4}(?:-\d{1,4})?")
_IMAGE = re.compile(r"~?[\w./\-:@ ]*", re.ASCII)
LARGEST = 2**31 - 1
MOST_PORTS = 1000
AUTO = "target.locations"
NESTS, EGGS = "A group of eggs.", "What is installed, and how it is started."
IO_HELP = "10 to 1000: a server's share of the disk's time against its neighbours'."

INTEGER, TEXT, BOOLEAN = FieldKind.INTEGER, FieldKind.TEXT, FieldKind.BOOLEAN


def _limit(name: str, label: str, unit: str, help_text: str = "1024 MiB are 1 GiB.") -> SpecField:
    return SpecField(
        "limits",
        name,
        INTEGER,
        label,
        help_text,
        unit,
        required=True,
        minimum=0,
        maximum=LARGEST,
        unlimited=True,
    )


def _count(name: str, label: str, help_text: str = "0: none.") -> SpecField:
    return SpecField("limits", name, INTEGER, label, help_text, default=0, minimum=0, maximum=10_000)


def _option(name: str, label: str, help_text: str = "") -> SpecField:
    return SpecField("options", name, BOOLEAN, label, help_text, default=False)


FIELDS = (
    SpecField("target", "nest", INTEGER, "Nest", NESTS, required=True, minimum=1),
    SpecField(
        "target",
        "egg",
        INTEGER,
        "Egg",
        EGGS,
        required=True,
        minimum=1,
    ),
    SpecField(
        "target",
        "node",
        INTEGER,
        "Node",
        "Servers get its first free allocation.",
        minimum=1,
    ),
    SpecField(
        "target",
        "locations",
        FieldKind.INTEGER_LIST,
        "Locations (Auto)",
        "The panel picks a node in one of these locations.",
        default=[],
        minimum=1,
    ),
    SpecField(
        "target",
        "dedicated_ip",
        BOOLEAN,
        "Dedicated IP",
        "Only with Auto: an address that no other server uses.",
        default=False,
        only_with=AUTO,
    ),
    SpecField(
        "target",
        "port_range",
        FieldKind.TEXT_LIST,
        "Ports",
        "Only with Auto. For example 25565-25600, 26000. Blank: any.",
        default=[],
        only_with=AUTO,
        placeholder="any",
    ),
    _limit("memory", "Memory", "MiB"),
    _limit("disk", "Disk", "MiB"),
    _limit("cpu", "CPU", "%", "100 is one thread."),
    SpecField(
        "limits",
        "swap",
        INTEGER,
        "Swap",
        "0: off. -1: unlimited.",
        "MiB",
        default=0,
        minimum=-1,
        maximum=LARGEST,
    ),
    SpecField("limits", "io", INTEGER, "IO weight", IO_HELP, default=500, minimum=10, maximum=1000),
    _count("databases", "Databases"),
    _count("allocations", "Allocations", "All ports, the first included. 0: none can be added."),
    _count("backups", "Backups"),
    SpecField("runtime", "image", TEXT, "Docker image", "Blank: the egg's.", default="", maximum=191),
    SpecField("runtime", "startup", FieldKind.LONG_TEXT, "Startup command", "Blank: the egg's.", default=""),
    SpecField(
        "runtime", "variables", FieldKind.MAPPING, "Egg variables", "Others keep the egg's.", default={}
    ),
    SpecField(
        "runtime",
        "customer_variables",
        FieldKind.TEXT_LIST,
        "Egg variables that customers choose",
        "Only these are taken from an order.",
        default=[],
    ),
    _option("skip_scripts", "Skip the install script", "Nothing is downloaded: the server begins empty."),
    _option("start_on_completion", "Start when installed", "Otherwise the customer starts it."),
    _option("oom_killer", "OOM killer", "Ends a server that uses too much memory."),
    SpecField(
        "options",
        "threads",
        TEXT,
        "Pinned CPUs",
        "Numbers of the node's threads, for example 0-3,5. Blank: none.",
        default="",
        placeholder="none",
    ),
)


def check(document: Mapping[str, Any]) -> dict[str, str]:
    """What single fields can't tell: field path -> sentence (CAL-21). Takes a cleaned document."""
    problems = _check_target(document["target"])
    if not _IMAGE.fullmatch(document["runtime"]["image"]):
        problems["runtime.image"] = "This is no name of a Docker image."
    threads = document["options"]["threads"]
    wrong = [part for part in threads.split(",") if threads and not _THREAD.fullmatch(part)]
    if wrong:
        problems["options.threads"] = f"“{wrong[0][:40]}” is no CPU. List CPU numbers, for example 0-3,5."
    return problems


def _check_target(target: Mapping[str, Any]) -> dict[str, str]:
    auto = bool(target["locations"])
    problems: dict[str, str] = {}
    if not target["node"] and not auto:
        problems["target.node"] = "Choose a node, or at least one location for Auto."
    if target["node"] and auto:
        problems["target.locations"] = "Choose a node or locations, not both."
    for name in ("dedicated_ip", "port_range"):
        if target[name] and not auto:
            problems[f"target.{name}"] = "This works with Auto only: choose locations instead of a node."
    bad = [text for text in target["port_range"] if not _is_port_range(text)]
    if bad:
        problems["target.port_range"] = (
            f"“{bad[0]}” is no port from 1025 to 65535, and no range of at most {MOST_PORTS} such ports."
        )
    return problems


def _is_port_range(text: str) -> bool:
    match = _PORTS.fullmatch(text)
    if match is None:
        return False
    first, last = int(match[1]), int(match[2] or match[1])
    return 1025 <= first <= last <= 65535 and last - first < MOST_PORTS


SPEC = ProductSpec(FIELDS, check)
