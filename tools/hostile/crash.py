"""Usage: python -m tools.hostile.crash [--kills n] [--seed s] [--stack sqlite|postgres].

Kills the web server under load, each time in another way, and between two kills takes what a power cut would
leave: the database file with its write-ahead log, copied while every process stands still. Prints one JSON
line. Exit code 1 if an id that was answered with 2xx is missing or there twice, or a copy is damaged (B9).
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
    parser = argparse.ArgumentParser(prog="python -m tools.hostile.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stack", choices=ground.STACKS, default="sqlite")
    return parser.parse_args(given)


def crash(options: argparse.Namespace, folder: Path) -> int:
    """Runs it and prints the line."""
    ground.prepare(folder)
    # Both need the settings that were chosen just now.
    from tools.hostile.front import front
    from tools.hostile.intake import Intake

    with front(folder) as door:
        intake = Intake(door, options.seed, options.kills)
        result = intake.run(options.stack)
    sys.stdout.write(json.dumps(result.line()) + "\n")
    sys.stderr.write("\n".join([*intake.words(), ""]))
    return 0 if result.good and result.kills == options.kills else 1


def main() -> int:
    """The command."""
    options = arguments()
    with ground.stores(options.stack), tempfile.TemporaryDirectory(prefix="billingbridge-intake-") as folder:
        return crash(options, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
