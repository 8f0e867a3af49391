"""The training log: one CSV row per event, complete after every line.

A resumed run first drops the rows that it will repeat. If TensorBoard is installed, the folder ``tensorboard`` beside
the log contains the same numbers.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from ..core.complete_files import complete_file

COLUMNS = (
    "stage", "step", "epoch", "loss", "learning_rate", "seconds", "seconds_left", "hard_sites", "dice", "false_ml",
    "score",
)  # fmt: skip

NOT_DRAWN = ("stage", "step", "epoch")


class TrainingLog:
    """Appends rows to ``path``; call ``resume`` first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._board: Any = None

    def resume(self, stage: str, step: int) -> None:
        """Keep the complete rows of other stages, and those of ``stage`` up to ``step``; drop the rest."""
        rows = []
        if self._path.is_file():
            with self._path.open(newline="", encoding="utf-8") as file:
                # A kill may have cut off the last row.
                rows = [row for row in csv.DictReader(file) if row[COLUMNS[-1]] is not None]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with complete_file(self._path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(row for row in rows if row["stage"] != stage or int(row["step"]) <= step)
        self._board = _open_board(self._path.parent / "tensorboard" / stage, step)

    def write(self, **values: object) -> None:
        """Write one row; missing columns stay empty, floats get five significant digits."""
        row = {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in values.items()}
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)
        if self._board is not None:
            for name, value in values.items():
                if name not in NOT_DRAWN:
                    self._board.add_scalar(name, value, values["step"])
            self._board.flush()

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.close()
            self._board = None


def _open_board(folder: Path, step: int) -> Any:
    """Return TensorBoard's writer, which hides what a resumed run repeats, or None if the package is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
