"""The files of a run in a folder: all of them, or none."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import MachineLimit
from ..core.private_folder import held, left_behind, private_folder

PRIVATE_PREFIX = ".unfinished-"
NEW, OLD = "new", "old"
"""Within a run's private folder: the files that it writes, and those that had to give way to them."""

FILES_KEY = "files"
"""Under it a run's JSON file names all files of the run, so that the next run into the same folder leaves none of them behind."""


@contextmanager
def complete_or_nothing(folder: Path, *, obsolete: Callable[[], Collection[str]] = set) -> Iterator[Path]:
    """A private folder to write files into, which take their place in ``folder`` when the block ends well.

    Files of the same names, and those that ``obsolete`` names then, give way. Where the block or the exchange fails, ``folder`` is as it
    was before, and is gone if it was not there. Another run may write into the same folder meanwhile: the last to end wins, with all its
    files. What a killed run left there is removed.

    Raises MachineLimit if the disk refuses, or if a file that has to give way is held by another program.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with contextlib.ExitStack() as cleaning:
        for path in reversed(made):
            cleaning.callback(_remove_if_empty, path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _clear_up(folder)
            private = cleaning.enter_context(private_folder(folder, PRIVATE_PREFIX))
            new, old = private / NEW, private / OLD
            new.mkdir()
            old.mkdir()
            yield new
            with held(folder):
                _exchange(new, folder, old, obsolete())
        except MachineLimit as error:  # the user knows no private folder
            raise MachineLimit(str(error).replace(str(new), str(folder))) from error
        except OSError as error:
            problem = f"{error.filename or folder} could not be written ({error.strerror})"
            raise MachineLimit(
                f"{problem}; close it in other programs, free some disk space or choose another folder."
            ) from error


def files_of_earlier_run(record: Path, *, keep: Path | None = None) -> set[str]:
    """Names of the files beside ``record``, a run's JSON file, that were written with it; without ``keep``, the next run's input."""
    try:
        names = json.loads(record.read_text(encoding="utf-8"))[FILES_KEY]
        present = {name for name in names if Path(name).name == name and (record.parent / name).is_file()}
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # no run of ours
    return {name for name in present if keep is None or not keep.exists() or not keep.samefile(record.parent / name)}


def _clear_up(folder: Path) -> None:
    """Removes what killed runs left in ``folder``; files that one of them was about to replace return to their place first."""
    for private in left_behind(folder, PRIVATE_PREFIX):
        with held(folder):
            for path in (private / OLD).glob("*"):
                path.replace(folder / path.name)
        shutil.rmtree(private, ignore_errors=True)


def _exchange(new: Path, folder: Path, old: Path, obsolete: Collection[str]) -> None:
    """Moves the files of ``new`` into ``folder``, and those that give way into ``old``; undoes all of it where one move fails."""
    names = sorted(path.name for path in new.iterdir())
    moves = [(folder / name, old / name) for name in sorted({*names, *obsolete}) if (folder / name).is_file()]
    begun = []
    try:
        for source, target in moves:
            begun.append((source, target))
            with contextlib.suppress(FileNotFoundError):  # another run was faster
                source.replace(target)
        for name in names:
            begun.append((new / name, folder / name))
            (new / name).replace(folder / name)
    except BaseException:  # Ctrl-C too: half a result is none
        for source, target in reversed(begun):
            with contextlib.suppress(OSError):
                target.replace(source)
        raise


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # this run's files are in it, or another run's
        folder.rmdir()
