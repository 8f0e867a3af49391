"""Run the command ``lungtumorseg`` as ``python -m LungTumorSegLib``."""

import sys

from .cli import main

sys.exit(main())
