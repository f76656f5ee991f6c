"""An app that makes one service deadly: whoever works on it is gone at once, as by a fault in C code."""

from __future__ import annotations

import os

from django.apps import AppConfig

DEADLY = "666"
"""The billing id of the service that kills its workers."""


class Poison(AppConfig):
    """Replaces the engine's pass by one that dies for that service."""

    name = "tests.flows"
    label = "poison"

    def ready(self) -> None:
        """Puts the poison in."""
        from provisioning.reconcile.converge import Converge

        real = Converge.run

        def deadly(job: Converge) -> object:
            if job.service.billing_id == DEADLY:
                os._exit(1)
            return real(job)

        Converge.run = deadly  # type: ignore[method-assign, assignment]
