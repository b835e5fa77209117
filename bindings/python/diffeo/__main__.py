"""The command line: python -m diffeo COMMAND is diffeo COMMAND."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
