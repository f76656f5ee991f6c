"""The product form of Calagopus: what staff fill in, its units, what is refused when saving (CAL-20 to 30).

Memory, swap and disk in MiB, CPU in percent of a thread. Ids are the panel's uuids, picked from its lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from provisioning.drivers.spec import FieldKind, ProductSpec, SpecField

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PAIR = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.-]{0,63})\s*:\s*(\d{1,9})\s*")
_RANGE = re.compile(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?")
_CPUS = re.compile(r"\s*(\d{1,5})\s*")
LARGEST = 2**31 - 1
LARGEST_CPU = 32_767
AUTO = "target.locations"
NESTS, EGGS = "A group of eggs.", "What is installed, and how it is started."
OWN_FEATURES = ("databases", "allocations", "backups", "schedules")
IDS = (
    ("target", "nest"),
    ("target", "egg"),
    ("target", "node"),
    ("options", "backup_configuration"),
)

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


def _option(name: str, label: str, help_text: str = "", *, default: bool = False) -> SpecField:
    return SpecField("options", name, BOOLEAN, label, help_text, default=default)


FIELDS = (
    SpecField("target", "nest", TEXT, "Nest", NESTS, required=True),
    SpecField("target", "egg", TEXT, "Egg", EGGS, required=True),
    SpecField(
        "target",
        "node",
        TEXT,
        "Node",
        "Servers get its first free allocation.",
        default="",
    ),
    SpecField(
        "target",
        "locations",
        FieldKind.TEXT_LIST,
        "Locations (Auto)",
        "The panel picks a node in one of these locations.",
        default=[],
    ),
    SpecField(
        "target",
        "ports",
        TEXT,
        "Ports",
        "Only with Auto. One port or a range, for example 25565-25600. Blank: any.",
        default="",
        only_with=AUTO,
        placeholder="any",
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
        "allow_overallocation",
        BOOLEAN,
        "Over-allocation",
        "Only with Auto: takes nodes whose memory or disk is promised already.",
        default=False,
        only_with=AUTO,
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
    SpecField(
        "limits",
        "memory_overhead",
        INTEGER,
        "Memory overhead",
        "On top of the memory, for the runtime itself.",
        "MiB",
        default=0,
        minimum=0,
        maximum=LARGEST,
    ),
    SpecField(
        "limits",
        "io",
        INTEGER,
        "IO weight",
        "10 to 1000: a server's share of the disk's time. Blank: the panel's.",
        minimum=10,
        maximum=1000,
        placeholder="the panel's",
    ),
    _count("allocations", "Allocations", "All ports, the first included. 0: none can be added."),
    _count("databases", "Databases"),
    _count("backups", "Backups"),
    _count("schedules", "Schedules"),
    SpecField(
        "options",
        "feature_limits",
        TEXT,
        "Custom feature limits",
        "Of the panel's extensions, for example plugins:5,worlds:3.",
        default="",
        placeholder="none",
        maximum=1000,
    ),
    SpecField("runtime", "image", TEXT, "Docker image", "Blank: the egg's.", default="", maximum=255),
    SpecField(
        "runtime",
        "startup",
        FieldKind.LONG_TEXT,
        "Startup command",
        "Blank: the egg's.",
        default="",
        maximum=8192,
    ),
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
    _option("hugepages", "Hugepages passthrough", "Large pages of memory, where the node offers them."),
    _option("kvm", "KVM passthrough", "The server may run virtual machines on the node."),
    SpecField(
        "options",
        "pinned_cpus",
        TEXT,
        "Pinned CPUs",
        "Numbers of the node's threads, for example 0,2,3. Blank: none.",
        default="",
        placeholder="none",
    ),
    SpecField(
        "options",
        "backup_configuration",
        TEXT,
        "Backup configuration",
        "Blank: the node's or the location's.",
        default="",
    ),
    _option(
        "delete_backups",
        "Delete backups with the server",
        "They go when a service is terminated. Without the tick the panel keeps them.",
        default=True,
    ),
)


def check(document: Mapping[str, Any]) -> dict[str, str]:
    """What single fields can't tell: field path -> sentence (CAL-21). Takes a cleaned document."""
    problems = _check_target(document["target"]) | _check_ids(document)
    options, image = document["options"], document["runtime"]["image"]
    if len(image) == 1:
        problems["runtime.image"] = "The panel takes no name of one character."
    for name, parse in (("feature_limits", custom_limits), ("pinned_cpus", cpu_numbers)):
        try:
            parse(options[name])
        except ValueError as error:
            problems[f"options.{name}"] = str(error)
    return problems


def _check_ids(document: Mapping[str, Any]) -> dict[str, str]:
    given = [(f"{section}.{name}", document[section][name]) for section, name in IDS]
    given += [("target.locations", text) for text in document["target"]["locations"]]
    words = "“{}” is no id of this panel. Choose from the list."
    return {path: words.format(text[:40]) for path, text in given if text and not _UUID.fullmatch(text)}


def _check_target(target: Mapping[str, Any]) -> dict[str, str]:
    auto = bool(target["locations"])
    problems: dict[str, str] = {}
    if not target["node"] and not auto:
        problems["target.node"] = "Choose a node, or at least one location for Auto."
    if target["node"] and auto:
        problems["target.locations"] = "Choose a node or locations, not both."
    for name in ("ports", "dedicated_ip", "allow_overallocation"):
        if target[name] and not auto:
            problems[f"target.{name}"] = "This works with Auto only: choose locations instead of a node."
    try:
        port_range(target["ports"])
    except ValueError as error:
        problems["target.ports"] = str(error)
    return problems


def uuid_problem(text: str) -> str:
    """A sentence for what is no whole uuid as the panel writes them, such as a short id; empty for one."""
    if _UUID.fullmatch(text):
        return ""
    return (
        f"“{text[:40]}” is no server id of this panel: enter the whole uuid, 36 characters in small letters, "
        "from the address of the server's page in the panel's admin area. The short id of 8 is not enough."
    )


def port_range(text: str) -> tuple[int, int]:
    """First and last port of a rule; all of them for a blank one. Raises ValueError with a sentence."""
    if not text.strip():
        return 1, 65535
    match = _RANGE.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise ValueError(f"“{text[:40]}” is no port from 1 to 65535, and no range of such ports.")
    return first, last


def custom_limits(text: str) -> dict[str, int]:
    """`plugins:5,worlds:3` as numbers by key (CAL-24). Raises ValueError that shows the wrong part."""
    found: dict[str, int] = {}
    for part in _parts(text):
        match = _PAIR.fullmatch(part)
        if match is None:
            raise ValueError(f"“{part.strip()[:60]}” is no key:value, for example plugins:5.")
        if match[1] in OWN_FEATURES:
            raise ValueError(f"“{match[1]}” has a field of its own.")
        if match[1] in found:
            raise ValueError(f"“{match[1]}” stands there twice.")
        found[match[1]] = int(match[2])
    return found


def cpu_numbers(text: str) -> list[int]:
    """`0,2,3` as numbers (CAL-28). Raises ValueError that shows the wrong part."""
    found: list[int] = []
    for part in _parts(text):
        match = _CPUS.fullmatch(part)
        if match is None or int(match[1]) > LARGEST_CPU:
            raise ValueError(f"“{part.strip()[:60]}” is no number of a CPU, for example 0,2,3.")
        if int(match[1]) not in found:
            found.append(int(match[1]))
    return found


def _parts(text: str) -> list[str]:
    """What stands between the commas. Raises ValueError for nothing between two, or beside one."""
    parts = text.split(",") if text.strip() else []
    if any(not part.strip() for part in parts):
        raise ValueError(f"There is a comma too many in “{text.strip()[:60]}”.")
    return parts


SPEC = ProductSpec(FIELDS, check)
