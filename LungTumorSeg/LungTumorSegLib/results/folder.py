"""Write the files of a run as a complete set or not at all, and never replace a file of the user unasked.

A run writes its files into a private folder. At the end they move to their final names:

- If the output folder does not exist yet, a single rename creates it.
- Otherwise the files are exchanged for those of the earlier run (see ``exchange``). If the run is killed during the
  exchange, the next process that reads the folder or writes to it completes the exchange (``settle``). If a move fails,
  all moves are undone.

Which files may be replaced: see ``replaceable_files``.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ..core.complete_files import UNFINISHED_PREFIX
from ..core.errors import MachineLimit, UnusableInput
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.private_folder import WAIT_SECONDS, hold_folder, private_folder, remove_left_behind
from ..core.texts import shown
from .exchange import NEW, committed_in, complete_moves, exchange
from .mark import (
    MARK_FILE,
    Mark,
    MarkedFile,
    exists,
    fingerprint,
    read_mark,
)
from .replaceable_files import Output, files_giving_way
from .writable import check_output_folder, naming_problem, nearest_folder

T = TypeVar("T")

READING_TRIES = 20

WRITTEN = Progress("writing", 1, 1)
"""Progress that is reported when all files are written but not yet in place: the last moment to cancel."""


def check_output(output: Output, names: Collection[str] = ()) -> None:
    """Check everything about the output that can be known before the work begins; nothing is created.

    Args:
        output: The output folder.
        names: The files that the run may write; patterns (``*.vtp``) are allowed.

    Raises:
        UnusableInput: If the folder cannot be written to, if it is an input, if files are in the way that may not be
            replaced, or if one is an input.
        MachineLimit: If the disk is full, or another run holds the folder.
    """
    check_output_folder(output.folder)
    for name in names:
        if problem := naming_problem(output.folder / name):
            raise UnusableInput(
                f"The output {shown(output.folder / name)} cannot be written ({problem}); choose another name."
            )
    for each in output.inputs:
        if output.folder.is_dir() and each.is_dir() and each.samefile(output.folder):
            raise UnusableInput(
                f"The output folder {shown(output.folder)} is an input of this run; choose another output folder."
            )
        settle(each if each.is_dir() else each.parent)
    if output.folder.is_dir():
        settle(output.folder)
        mark = read_mark(output.folder)
        patterns = [name for name in names if "*" in name]
        present = {name for name in names if exists(output.folder / name)}
        present |= {name for name in os.listdir(output.folder) if any(fnmatch.fnmatch(name, each) for each in patterns)}
        files_giving_way(output, present, mark)


@contextmanager
def complete_or_nothing(output: Output, on_progress: ProgressCallback = ignore_progress) -> Iterator[Path]:
    """Create a private folder for new files, which move to the output folder if the block succeeds.

    If the block or the move fails, the output folder is as before, and does not exist if it did not exist before. If
    another run writes to the same folder meanwhile, the last one to end wins, with all its files. Files that killed
    runs left in the folder are removed.

    Args:
        output: The output folder, and the files in it that may be replaced.
        on_progress: Called while another run holds the folder; it may raise Cancelled.

    Yields:
        The private folder.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        MachineLimit: If the disk refuses a file, or another program holds a file that must be replaced.
    """
    try:
        place = nearest_folder(output.folder)
        remove_left_behind(place, UNFINISHED_PREFIX)
        if output.folder.is_dir():
            settle(output.folder, on_progress)
            remove_left_behind(output.folder.absolute().parent, UNFINISHED_PREFIX)  # from runs creating it
        with private_folder(place, UNFINISHED_PREFIX) as private:
            new = private / NEW
            new.mkdir()
            try:
                yield new
                _take_place(new, output, on_progress)
            except MachineLimit as error:  # users do not know the private folder
                raise MachineLimit(str(error).replace(str(new), str(output.folder))) from error
    except OSError as error:
        problem = f"{error.filename or output.folder} could not be written ({error.strerror})"
        raise MachineLimit(
            f"{problem}; close it in other programs, free some disk space or choose another output folder."
        ) from error


def settle(folder: Path, on_progress: ProgressCallback = ignore_progress) -> None:
    """Complete the move of a run that was killed while its files moved into ``folder``.

    Raises:
        UnusableInput: If a file has changed since then, or the folder cannot be written to.
        MachineLimit: If another run holds the folder.
    """
    try:
        if not committed_in(folder):
            return
        with hold_folder(folder, on_progress):
            complete_moves(folder)
        remove_left_behind(folder, UNFINISHED_PREFIX)
    except OSError as error:
        raise UnusableInput(
            f"An interrupted run left incomplete results in {folder}, and they cannot be completed "
            f"({error.strerror}); make the folder writable, or copy it to another place."
        ) from error


def read_consistently(folder: Path, read: Callable[[], T]) -> T:
    """Return the result of ``read``, which reads files in ``folder``, all from the same run.

    This holds even while the files of another run are moving into the folder.

    Args:
        folder: The folder.
        read: Reads the files; called again if the folder changed meanwhile.

    Raises:
        MachineLimit: If other runs keep writing to the folder.
    """
    for _ in range(READING_TRIES):
        settle(folder)
        before = _run_in_place(folder)
        if before is not None:
            try:
                value = read()
            except (OSError, ValueError):
                if _run_in_place(folder) == before:
                    raise
            else:
                if _run_in_place(folder) == before:
                    return value
        time.sleep(WAIT_SECONDS)
    raise MachineLimit(f"Other runs are still writing to {folder}; read it again when they have finished.")


def files_of_group(folder: Path, group: str) -> set[str]:
    """Return the names of the files in ``folder`` that LungTumorSeg wrote as one group and that still exist."""
    mark = read_mark(folder) or Mark()
    return {name for name in mark.names_of(group) if (folder / name).is_file()}


def _take_place(new: Path, output: Output, on_progress: ProgressCallback) -> None:
    """Move the files of ``new`` to the output folder; a single rename commits the run."""
    folder = output.folder.absolute()
    run = secrets.token_hex(16)
    written = {path.name: MarkedFile(output.group, fingerprint(path)) for path in new.iterdir()}
    with contextlib.ExitStack() as cleaning:
        if not os.path.lexists(folder):
            for parent in reversed([each for each in folder.parents if not each.exists()]):
                parent.mkdir(exist_ok=True)
                cleaning.callback(_remove_if_empty, parent)
            Mark(run, written).write(new / MARK_FILE)
            if _renamed(new, folder):
                return
            (new / MARK_FILE).unlink()
        with hold_folder(folder, on_progress):
            complete_moves(folder)  # of a run killed since this one began
            exchange(new, output, Mark(run, written))


def _run_in_place(folder: Path) -> str | None:
    """Return the run whose files lie in ``folder``, empty without one; None while files of a run are moving.

    Moving files are looked for before and after the mark is read. A run may end, or begin, between two looks.
    """
    if committed_in(folder):
        return None
    mark = read_mark(folder)
    return None if committed_in(folder) else mark.run if mark else ""


def _renamed(new: Path, folder: Path) -> bool:
    """Rename ``new`` to ``folder``; return False if another run was faster."""
    try:
        new.rename(folder)
    except OSError:
        if folder.is_dir():
            return False
        raise
    return True


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it holds files of this run or of another one
        folder.rmdir()
