#!/usr/bin/env python
"""Entry point of every command: `python manage.py help` lists them."""

import os
import sys

INTERRUPTED = 130
"""The exit code that shells expect of what Ctrl-C has ended."""


def main() -> None:
    """Run the command named on the command line with the project's settings.

    Ctrl-C ends it with a sentence, also while Django and the settings are still being loaded.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billingbridge.settings")
    try:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
