"""Which panels the sandbox can stand in for, by name, and how the command line's options make one."""

import argparse
from collections.abc import Callable

from provisioning.sandbox.base import PanelServer
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.calagopus.world import Settings as CalagopusSettings
from provisioning.sandbox.core import InstallPolicy
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Settings as PterodactylSettings

PTERODACTYL_LIMITS = (240, 720)
CALAGOPUS_LIMIT = 360
SYNC_DELAY, USAGE_AGE = 0.2, 15.0  # seconds: how a real panel is with a daemon that is not idle


def _pterodactyl(options: argparse.Namespace) -> PanelSandbox:
    """A Pterodactyl panel: 240 calls a minute for the Application API, 720 for the Client API."""
    limit, client_limit = PTERODACTYL_LIMITS
    wanted = limit if options.rate_limit is None else options.rate_limit
    settings = PterodactylSettings(
        application_limit=wanted or None,
        client_limit=client_limit if wanted else None,
        installs=InstallPolicy(delay=options.install_seconds),
    )
    return PanelSandbox(
        port=options.panel_port,
        settings=settings,
        application_key=options.application_key,
        client_key=options.client_key,
    )


def _calagopus(options: argparse.Namespace) -> CalagopusSandbox:
    """A Calagopus panel: 360 calls in 30 seconds for each address, quick PATCHes out of order."""
    wanted = CALAGOPUS_LIMIT if options.rate_limit is None else options.rate_limit
    settings = CalagopusSettings(
        rate_limit=wanted or None,
        sync_delay=SYNC_DELAY,
        sync_order="random",
        resource_cache=USAGE_AGE,
        installs=InstallPolicy(delay=options.install_seconds),
    )
    return CalagopusSandbox(
        port=options.panel_port, settings=settings, application_key=options.application_key
    )


PANELS: dict[str, Callable[[argparse.Namespace], PanelServer]] = {
    "pterodactyl": _pterodactyl,
    "calagopus": _calagopus,
}
