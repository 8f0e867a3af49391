"""``python -m LungTumorSegLib`` is the command ``lungtumorseg``."""

import sys

from .cli import main

sys.exit(main())
