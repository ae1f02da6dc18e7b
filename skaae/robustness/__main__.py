"""``python -m skaae.robustness``: see `skaae.robustness._command_line`."""

import sys

from skaae.robustness._command_line import main

if __name__ == "__main__":
    sys.exit(main())
