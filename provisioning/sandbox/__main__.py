"""``python -m provisioning.sandbox``."""

import sys

from provisioning.sandbox.command import main

if __name__ == "__main__":
    sys.exit(main())
