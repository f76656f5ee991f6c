"""Usage: python -m tools.bench [--only part,part] [--quick].

Measures, prints a table, writes bench/latest.json and the table of docs/performance.md. Exit code 1 if a
figure misses its goal. `--quick` leaves out the part that seeds 100,000 services and a million events.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time

from tools.bench import report

PARTS = ("intake", "calls", "paid", "thousand", "drift", "scale", "large")
LARGE = "large"


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line. Ends the process with a sentence for an unknown part."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--only", default="", help=f"some of: {', '.join(PARTS)}; separated by commas")
    parser.add_argument("--quick", action="store_true", help=f"without {LARGE}")
    options = parser.parse_args(given)
    options.parts = [name for name in options.only.split(",") if name]
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}. Choose from {', '.join(PARTS)}.")
    options.parts = options.parts or [name for name in PARTS if not (options.quick and name == LARGE)]
    return options


def measure(part: str) -> bool:
    """Measures one part, keeps and prints it; whether all its goals are met."""
    began = time.monotonic()
    result: report.Result = importlib.import_module(f"tools.bench.{part}").measure()
    report.keep(part, result)
    lines = report.lines(result.figures)
    for key, value, goal, met in lines:
        sys.stdout.write(f"{key:28} {value:>10}  {goal:>8}  {'' if met == 'yes' else 'MISSED'}\n")
    sys.stdout.write(f"  ({part}: {time.monotonic() - began:.0f} s)\n")
    sys.stdout.flush()
    return all(met == "yes" for *_, met in lines)


def main() -> int:
    """The command."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="billingbridge-bench-") as folder:
        os.environ.update({"DJANGO_SETTINGS_MODULE": "tests.settings", "VAR_DIR": folder})
        import django

        django.setup()
        met = [measure(part) for part in options.parts]
    report.page_write(report.read())
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
