"""The training log: one CSV row an event, complete after every line, and free of rows that a resumed run repeats.

Beside it, in the folder ``tensorboard``, the same numbers for TensorBoard, where that package is installed.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from ..io.images import complete_file

COLUMNS = (
    "stage", "step", "epoch", "loss", "learning_rate", "seconds", "seconds_left", "hard_sites", "dice", "false_ml", "score",
)  # fmt: skip

NOT_DRAWN = ("stage", "step", "epoch")


class TrainingLog:
    """Appends rows to ``path``. ``resume`` comes first: it drops what lies after a checkpoint's step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._board: Any = None

    def resume(self, stage: str, step: int) -> None:
        """Keep the whole rows of other stages, and those of ``stage`` up to ``step``."""
        rows = []
        if self._path.is_file():
            with self._path.open(newline="", encoding="utf-8") as file:
                rows = [
                    row for row in csv.DictReader(file) if row[COLUMNS[-1]] is not None
                ]  # a kill may have cut the last one
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with complete_file(self._path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(row for row in rows if row["stage"] != stage or int(row["step"]) <= step)
        self._board = _open_board(self._path.parent / "tensorboard" / stage, step)

    def write(self, **values: object) -> None:
        """One row; columns not given stay empty, floats get five digits."""
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
    """TensorBoard's writer, which hides what a resumed run repeats; None without the package."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
