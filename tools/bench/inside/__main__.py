"""Usage: python -m tools.bench.inside <action> <json>, in the product's environment; prints one JSON line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import django


def main() -> None:
    """Runs one action."""
    django.setup()
    # They import models, so the settings have to be there.
    from tools.bench.inside import looks, seeding

    actions: dict[str, Callable[..., object]] = {
        "seed": seeding.seed,
        "drift": looks.drift,
        "sweep": looks.sweep,
        "pages": looks.pages,
    }
    told = actions[sys.argv[1]](**json.loads(sys.argv[2]))
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
