"""Which drivers there are. Adding a panel is a folder and one line here (docs/drivers.md)."""

from __future__ import annotations

import importlib

from provisioning.drivers.base import PanelDriver

_MODULES = ("provisioning.drivers.pterodactyl.driver", "provisioning.drivers.calagopus.driver")
_drivers: dict[str, type[PanelDriver]] = {}


def register(driver: type[PanelDriver]) -> type[PanelDriver]:
    """Class decorator: makes a driver known under its name."""
    _drivers[driver.name] = driver
    return driver


def load_all() -> None:
    """Imports every driver's module, so that it registers itself."""
    for module in _MODULES:
        importlib.import_module(module)


def get(name: str) -> type[PanelDriver]:
    """The driver class of that name. Raises KeyError for a name that no release knows."""
    return _drivers[name]


def driver_choices() -> list[tuple[str, str]]:
    """For model fields: a callable, so that a new driver needs no migration."""
    return sorted((name, driver.title) for name, driver in _drivers.items())
