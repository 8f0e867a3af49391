"""Run the command ``lungtumorseg`` as ``python -m LungTumorSegLib``."""

from .cli import run

run()
