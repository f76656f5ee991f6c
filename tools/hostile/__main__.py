"""Usage: python -m tools.hostile [--events n] [--seed s] [--stack sqlite|postgres].

Sends so many hostile requests to the real web server and prints one JSON line. Exit code 1 if anything was
answered with 5xx, kept without proof, lost, kept twice, or if the workers grow (bars B7 and B8).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tools.hostile import ground


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.hostile", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stack", choices=ground.STACKS, default="sqlite")
    return parser.parse_args(given)


def fire(options: argparse.Namespace, folder: Path) -> int:
    """Runs it and prints the line."""
    ground.prepare(folder)
    # Both need the settings that were chosen just now.
    from tools.hostile.fire import Fire
    from tools.hostile.front import front

    with front(folder) as door:
        shots = Fire(door, options.seed, options.events)
        result = shots.run(options.stack)
    sys.stdout.write(json.dumps(result.line()) + "\n")
    sys.stderr.write("\n".join([*shots.words(), ""]))
    return 0 if result.good else 1


def main() -> int:
    """The command."""
    options = arguments()
    with ground.stores(options.stack), tempfile.TemporaryDirectory(prefix="billingbridge-hostile-") as folder:
        return fire(options, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
