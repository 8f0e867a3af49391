"""The files of a run in a folder: a set is complete or it is not there, and nothing of the user's is replaced.

A run writes its files into a private folder. At its end they take their place under their final names:

- Where the output folder does not exist yet, one rename makes it.
- Elsewhere one rename commits the run: the folder ``new-results-RUN`` appears in the output folder, with the new files and the list of
  those that give way to them. Then the files move, summary.json first out and last in. Where the run is killed meanwhile, whoever reads
  the folder next, or writes to it, completes the move (``settle``); where a move fails, all are undone.

What may give way is what the folder's mark (see ``mark``) proves to be ours and unchanged, and whatever ``overwrite`` allows.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..core.errors import MachineLimit, UnusableInput
from ..core.events import ProgressCallback, ignore_progress
from ..core.private_folder import WAIT_SECONDS, held, private_folder, remove_left_behind
from ..io.regular_files import check_encodable
from .mark import (
    MARK_FILE,
    PROGRAM,
    Mark,
    MarkedFile,
    fingerprint,
    is_plain_name,
    is_regular,
    read_json_object,
    read_mark,
)

T = TypeVar("T")

PRIVATE_PREFIX = ".unfinished-"
NEW = "new"
"""Within a run's private folder: the files that it writes."""

COMMITTED_PREFIX = "new-results-"
EXCHANGE_FILE, OLD = ".exchange.json", ".old"
"""Within a committed folder: what gives way to its files, and where that goes until all is done."""

SHARED_FILES = frozenset({"ct.nrrd"})
"""Written by several commands, with the same content: the CT on a regular grid."""

READING_TRIES = 20

LEAST_FREE_BYTES = 16 * 2**20
"""With less free space on the disk no run begins: the smallest result takes some MB."""

MOST_NAMED = 5
"""Files that a message names."""


@dataclass(frozen=True)
class Output:
    """Where a run's results go, and what may give way to them.

    Attributes:
        folder: The output folder; made if need be.
        group: The files that belong together: those of an earlier run of the same group that this run does not write again are removed.
        inputs: Files and folders that the run reads; none of them is ever replaced or removed.
        overwrite: Allow files to be replaced that LungTumorSeg did not write, or that were changed since.
        keep: Names of files of the group that stay, also where this run does not write them again.
    """

    folder: Path
    group: str
    inputs: Sequence[Path] = ()
    overwrite: bool = False
    keep: Collection[str] = frozenset()


def check_output(output: Output, names: Collection[str] = ()) -> None:
    """Check all about the output that can be known before the work begins; nothing is created.

    Args:
        output: Where the results shall go.
        names: The files that the run may write; patterns (``*.vtp``) are allowed.

    Raises:
        UnusableInput: If the folder cannot be written to, if files are in the way that may not be replaced, or if one is an input.
        MachineLimit: If the disk is full, or another run holds the folder.
    """
    check_output_folder(output.folder)
    for each in output.inputs:
        settle(each if each.is_dir() else each.parent)
    if output.folder.is_dir():
        settle(output.folder)
        mark = read_mark(output.folder)
        patterns = [name for name in names if "*" in name]
        present = {name for name in names if os.path.lexists(output.folder / name)}
        present |= {name for name in os.listdir(output.folder) if any(fnmatch.fnmatch(name, each) for each in patterns)}
        _giving_way(output, present, mark)


def check_output_folder(path: str | os.PathLike[str]) -> None:
    """Raise UnusableInput if ``path`` cannot become a folder that files can be written to; nothing is created.

    Raises MachineLimit where the disk is full.
    """
    check_encodable(path)
    folder = Path(path).absolute()
    existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if existing.is_symlink() and not existing.exists():
        problem = f"{existing} is a link to a folder that does not exist"
    elif not existing.is_dir():
        problem = f"{existing} is a file"
    else:
        problem = _writing_problem(existing)
    if problem:
        raise UnusableInput(f"The output folder {path} cannot be written ({problem}); choose another one.")
    check_room(existing, LEAST_FREE_BYTES)


def _writing_problem(folder: Path) -> str:
    """Return why no file can be written into ``folder``, "" where it can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def check_room(folder: Path, needed_bytes: int) -> None:
    """Raise MachineLimit if the disk of ``folder``, or of its nearest parent that exists, has less free space than needed."""
    disk = shutil.disk_usage(_nearest_folder(folder))
    if disk.total > 0 and disk.free < needed_bytes:
        raise MachineLimit(
            f"The disk of {folder} has {disk.free / 2**20:.0f} MB of free space and the results need at least "
            f"{needed_bytes / 2**20:.0f} MB; free some space or choose another output folder."
        )


@contextmanager
def complete_or_nothing(output: Output, on_progress: ProgressCallback = ignore_progress) -> Iterator[Path]:
    """Make a private folder to write files into, which take their place in the output folder when the block ends well.

    Where the block or the exchange fails, the output folder is as it was before, and is gone if it was not there. Another run may write
    into the same folder meanwhile: the last to end wins, with all its files. What killed runs left there is removed.

    Args:
        output: Where the files go, and what may give way to them.
        on_progress: Called while another run holds the folder; it may raise Cancelled.

    Yields:
        The private folder.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        MachineLimit: If the disk refuses, or if a file that has to give way is held by another program.
    """
    place = _nearest_folder(output.folder)
    try:
        remove_left_behind(place, PRIVATE_PREFIX)
        if output.folder.is_dir():
            settle(output.folder, on_progress)
            remove_left_behind(output.folder.absolute().parent, PRIVATE_PREFIX)  # of a run that was to make the folder
        with private_folder(place, PRIVATE_PREFIX) as private:
            new = private / NEW
            new.mkdir()
            try:
                yield new
                _take_place(new, output, on_progress)
            except MachineLimit as error:  # the user knows no private folder
                raise MachineLimit(str(error).replace(str(new), str(output.folder))) from error
    except OSError as error:
        problem = f"{error.filename or output.folder} could not be written ({error.strerror})"
        raise MachineLimit(
            f"{problem}; close it in other programs, free some disk space or choose another folder."
        ) from error


def settle(folder: Path, on_progress: ProgressCallback = ignore_progress) -> None:
    """Complete what a run that was killed while its files moved into ``folder`` has left undone.

    Raises:
        UnusableInput: If a file was changed since then, or the folder cannot be written to.
        MachineLimit: If another run holds the folder.
    """
    if not _committed(folder):
        return
    try:
        with held(folder, on_progress):
            _complete_moves(folder)
        remove_left_behind(folder, PRIVATE_PREFIX)
    except OSError as error:
        raise UnusableInput(
            f"A run that was ended early left its results in {folder} half in place, and they cannot be moved "
            f"({error.strerror}); make the folder writable, or copy it elsewhere."
        ) from error


def read_consistently(folder: Path, read: Callable[[], T]) -> T:
    """Return what ``read`` reads in ``folder``, all of it from one run, also while another run's files move into place."""
    for _ in range(READING_TRIES):
        settle(folder)
        before = _state(folder)
        try:
            value = read()
        except (OSError, ValueError):
            if _state(folder) == before:
                raise
        else:
            if _state(folder) == before:
                return value
        time.sleep(WAIT_SECONDS)
    raise MachineLimit(f"Other runs keep writing to {folder}; read it again when they have ended.")


def files_of_group(folder: Path, group: str) -> set[str]:
    """Return the names of the files in ``folder`` that LungTumorSeg wrote as one group and that are still there."""
    mark = read_mark(folder) or Mark()
    return {name for name in mark.names_of(group) if (folder / name).is_file()}


def _take_place(new: Path, output: Output, on_progress: ProgressCallback) -> None:
    """Move the files of ``new`` to where they belong; the run is committed by one rename."""
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
        with held(folder, on_progress):
            _complete_moves(folder)  # of a run that was killed since this one began
            _exchange(new, output, Mark(run, written))


def _exchange(new: Path, output: Output, written: Mark) -> None:
    folder = output.folder.absolute()
    earlier = read_mark(folder)
    gives_way = _giving_way(output, written.files.keys(), earlier)
    kept = {
        name: file
        for name, file in (earlier.files if earlier else {}).items()
        if name not in gives_way and os.path.lexists(folder / name)
    }
    Mark(written.run, {**kept, **written.files}).write(new / MARK_FILE)
    exchange = {"program": PROGRAM, "run": written.run, "gives_way": gives_way}
    (new / EXCHANGE_FILE).write_text(json.dumps(exchange), encoding="utf-8")
    (new / OLD).mkdir()
    committed = folder / f"{COMMITTED_PREFIX}{written.run}"
    new.rename(committed)
    _move_files(committed, folder, undone=new)
    with contextlib.suppress(OSError):  # all files are in place; the next run removes what stays of it
        committed.rename(new)


def _complete_moves(folder: Path) -> None:
    """Complete what killed runs have left undone in ``folder``, which is held."""
    for committed in _committed(folder):
        _check_unchanged(committed, folder)
        with private_folder(folder, PRIVATE_PREFIX) as private:
            _move_files(committed, folder)
            committed.rename(private / NEW)


def _giving_way(output: Output, names: Collection[str], mark: Mark | None) -> dict[str, str]:
    """Return what is in the folder and has to give way to files of these names, each with its checksum.

    Raises UnusableInput, before anything is touched, if that may not be replaced.
    """
    folder, proven = output.folder.absolute(), mark or Mark()
    ours = {name for name in proven.names_of(output.group) if is_regular(folder / name)}
    obsolete = {name for name in ours - {*names, *output.keep} if not _is_input(folder / name, output.inputs)}
    gives_way, refused = {}, []
    for name in sorted({*names, *obsolete, MARK_FILE}):
        path = folder / name
        if not os.path.lexists(path):
            continue
        if not is_regular(path) and not path.is_symlink():
            raise UnusableInput(
                f"{output.folder / name} is no ordinary file, and a result of that name must be written; rename it, or "
                "choose another output folder."
            )
        if _is_input(path, output.inputs):
            raise UnusableInput(
                f"{output.folder / name} is an input of this run, and a result of that name must be written; choose another "
                "output folder."
            )
        is_mark = name == MARK_FILE and mark is not None
        if not (is_mark or output.overwrite or (_is_of_group(name, output.group, proven) and proven.proves(path))):
            refused.append(name)
        gives_way[name] = fingerprint(path)
    if refused:
        more = f" and {len(refused) - MOST_NAMED} more" if len(refused) > MOST_NAMED else ""
        raise UnusableInput(
            f"{', '.join(refused[:MOST_NAMED])}{more} in {output.folder} would be replaced, though no earlier run wrote it there, or "
            "though it was changed since; move it, choose another output folder, or allow it with --overwrite."
        )
    return gives_way


def _is_of_group(name: str, group: str, mark: Mark) -> bool:
    file = mark.files.get(name)
    return file is not None and (file.group == group or name in SHARED_FILES)


def _is_input(path: Path, inputs: Sequence[Path]) -> bool:
    """Tell whether ``path``, which is there, is one of ``inputs`` or a DICOM file in a folder among them."""
    for each in inputs:
        with contextlib.suppress(OSError):
            if path.samefile(each):
                return True
            if each.is_dir() and each.resolve() in path.resolve().parents and _is_dicom(path):
                return True
    return False


def may_be_resampled(source: Path) -> bool:
    """Tell whether a CT is DICOM: only there the slices may need a regular grid, and a file with the resampled CT."""
    return source.is_dir() or (source.is_file() and _is_dicom(source))


def _is_dicom(path: Path) -> bool:
    from ..io.dicom_series import is_dicom_file  # pydicom: only where it is needed

    try:
        return is_dicom_file(path)
    except (OSError, UnusableInput):  # who reads the file says why it cannot be read
        return False


def _committed(folder: Path) -> list[Path]:
    """Return the committed folders in ``folder`` whose files have not all moved yet: known by their list, not by their name."""
    found = sorted(path for path in folder.glob(f"{COMMITTED_PREFIX}*") if path.is_dir() and not path.is_symlink())
    return [path for path in found if _exchange_of(path) is not None]


def _exchange_of(committed: Path) -> dict[str, str] | None:
    """Return what gives way to the files of ``committed``; None where it is no folder of ours."""
    values = read_json_object(committed / EXCHANGE_FILE)
    gives_way = values.get("gives_way")
    if values.get("program") != PROGRAM or f"{COMMITTED_PREFIX}{values.get('run')}" != committed.name:
        return None
    if not isinstance(gives_way, dict) or not all(is_plain_name(name) or name == MARK_FILE for name in gives_way):
        return None
    return gives_way


def _check_unchanged(committed: Path, folder: Path) -> None:
    """Raise UnusableInput if something that did not give way yet is not what it was, or if something new is in the way."""
    gives_way = _exchange_of(committed) or {}
    for name in {*gives_way, *_files_in(committed)}:
        path = folder / name
        if not os.path.lexists(path):
            continue
        has_given_way = os.path.lexists(committed / OLD / name)
        if has_given_way and not os.path.lexists(committed / name):  # the new one, or the user's where it was obsolete
            continue
        if has_given_way or name not in gives_way or not _is_same(path, gives_way[name]):
            raise UnusableInput(
                f"A run that was ended early left its results in {committed}, and {path} was changed since; move {path} "
                "elsewhere and try again."
            )


def _is_same(path: Path, checksum: str) -> bool:
    return (is_regular(path) or path.is_symlink()) and fingerprint(path) == checksum


def _move_files(committed: Path, folder: Path, *, undone: Path | None = None) -> None:
    """Move the files of ``committed`` into ``folder``, and those that give way into ``committed``; what has moved already is skipped.

    Where one move fails and ``undone`` is given, all are undone and ``committed`` is renamed to it.
    """
    old, gives_way = committed / OLD, _exchange_of(committed) or {}
    out = [(folder / name, old / name) for name in sorted(gives_way, key=_order, reverse=True)]
    into = [(committed / name, folder / name) for name in sorted(_files_in(committed), key=_order)]
    begun = []
    try:
        for source, target in [*out, *into]:
            if not os.path.lexists(target):
                begun.append((source, target))
                with contextlib.suppress(FileNotFoundError):  # another run was faster
                    source.replace(target)
    except BaseException:  # Ctrl-C too: half a result is none
        if undone is not None and all(_moved_back(source, target) for source, target in reversed(begun)):
            committed.rename(undone)
        raise


def _moved_back(source: Path, target: Path) -> bool:
    try:
        target.replace(source)
    except FileNotFoundError:  # it had not moved yet
        return True
    except OSError:
        return False
    return True


def _order(name: str) -> tuple[bool, str]:
    """Sort by the order in which files appear: summary.json last, so that other programs do not take a part for the whole."""
    return name.endswith(".json"), name


def _files_in(committed: Path) -> list[str]:
    return [path.name for path in committed.iterdir() if path.name not in (EXCHANGE_FILE, OLD)]


def _state(folder: Path) -> tuple[object, ...]:
    mark = read_mark(folder)
    return (mark.run if mark else "", *_committed(folder))


def _nearest_folder(folder: Path) -> Path:
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())


def _renamed(new: Path, folder: Path) -> bool:
    """Rename ``new`` to ``folder``; False where another run was faster."""
    try:
        new.rename(folder)
    except OSError:
        if folder.is_dir():
            return False
        raise
    return True


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # this run's files are in it, or another run's
        folder.rmdir()
