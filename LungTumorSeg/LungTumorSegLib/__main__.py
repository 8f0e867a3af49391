"""Run the command ``lungtumorseg``, also as ``python -m LungTumorSegLib``."""

from __future__ import annotations

import sys
from typing import NoReturn


def run() -> NoReturn:
    """Run one command as a program. Ctrl-C while the program is still being loaded cancels it as later on."""
    try:
        from .cli import run as run_command

        run_command()
    except KeyboardInterrupt:
        from .core.errors import CANCELLED
        from .core.messages import CANCELLED_COMMAND

        sys.stderr.write(f"{CANCELLED_COMMAND}\n")
        sys.exit(CANCELLED)


if __name__ == "__main__":
    run()
