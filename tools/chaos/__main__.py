"""Usage: python -m tools.chaos [--kills n] [--seed s] [--lifecycles n] [--stack sqlite|postgres] [--keep].

Prints one JSON line; exit code 1 if anything was lost, doubled or left behind, or fewer were killed than was
asked for. `--keep` adds the line to docs/reliability.jsonl and writes docs/reliability.md anew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools import services
from tools.chaos import report

LIFECYCLES_PER_KILL = 2


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line; lifecycles and the time limit follow from the kills where they are not given."""
    parser = argparse.ArgumentParser(prog="python -m tools.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lifecycles", type=int, default=0, help="default: two for each kill")
    parser.add_argument("--seconds", type=float, default=0, help="most seconds for lives and kills")
    parser.add_argument("--troubled", type=float, default=0.25, help="share of lives with a panel in trouble")
    parser.add_argument("--stack", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--keep", action="store_true", help="add the result to docs/reliability.jsonl")
    options = parser.parse_args(given)
    options.lifecycles = options.lifecycles or LIFECYCLES_PER_KILL * options.kills
    options.seconds = options.seconds or 60 + 5 * options.lifecycles
    return options


@contextlib.contextmanager
def stores(stack: str) -> Iterator[None]:
    """Names a PostgreSQL and a Redis of the campaign's own in the environment, or neither."""
    with contextlib.ExitStack() as running:
        urls = running.enter_context(services.private(durable=False)) if stack == "postgres" else ("", "")
        os.environ.update(zip(("TEST_DATABASE_URL", "TEST_REDIS_URL"), urls, strict=True))
        yield


def campaign(options: argparse.Namespace, folder: Path) -> int:
    """Runs it and prints the line."""
    os.environ.update({"DJANGO_SETTINGS_MODULE": "tests.settings", "VAR_DIR": str(folder)})
    import django

    django.setup()
    # Both need the settings that were chosen just now.
    from tools.chaos.run import Campaign, run

    asked = Campaign(
        options.kills, options.lifecycles, options.seed, options.stack, options.seconds, options.troubled
    )
    # Asked before: the campaign is about the build that it began with.
    commit = report.commit()
    result, words, fallen = run(asked, folder)
    line = result.line() | {"commit": commit}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stderr.write("\n".join([*words, *fallen, ""]))
    if options.keep:
        report.keep(line)
    return 0 if result.good and result.kills == options.kills and not fallen else 1


def main() -> int:
    """The command."""
    options = arguments()
    with stores(options.stack), tempfile.TemporaryDirectory(prefix="billingbridge-chaos-") as folder:
        return campaign(options, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
