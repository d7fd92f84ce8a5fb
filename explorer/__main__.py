"""`python -m explorer` and the console script `backstep`: hands over to the command line."""

import sys

from explorer.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
