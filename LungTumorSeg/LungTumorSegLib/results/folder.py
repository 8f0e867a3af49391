"""Write the files of a run as a complete set or not at all, and never replace a file of the user unasked.

A run writes its files into a private folder. At the end they move to their final names:

- If the output folder does not exist yet, a single rename creates it.
- Otherwise a single rename commits the run: the folder ``new-results-RUN`` appears in the output folder, with the new
  files and a list of the files that they replace. Then the files move; summary.json is the first to leave and the last
  to arrive. If the run is killed during the move, the next process that reads the folder or writes to it completes the
  move (``settle``). If a move fails, all moves are undone.

A file may be replaced if the folder's mark (see ``mark``) proves that LungTumorSeg wrote it and that it has not changed
since, or if ``overwrite`` allows it.
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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..core.errors import MachineLimit, UnusableInput
from ..core.events import ProgressCallback, ignore_progress
from ..core.json_files import read_json
from ..core.private_folder import WAIT_SECONDS, held, private_folder, remove_left_behind
from ..core.texts import shown
from ..io.dicom_start import is_dicom_file
from ..io.regular_files import check_encodable
from .mark import (
    MARK_FILE,
    PROGRAM,
    Mark,
    MarkedFile,
    exists,
    fingerprint,
    is_plain_name,
    is_regular,
    read_mark,
)

T = TypeVar("T")
Move = tuple[Path, Path]
"""From where to where a file moves."""

PRIVATE_PREFIX = ".unfinished-"
NEW = "new"
"""Folder for the new files, within the private folder of a run."""

COMMITTED_PREFIX = "new-results-"
EXCHANGE_FILE, OLD = ".exchange.json", ".old"
"""Names within a committed folder.

The file lists the files to replace; the folder holds them until the move is complete.
"""

SHARED_FILES = frozenset({"ct.nrrd"})
"""Files that several commands write with the same content: the CT on a regular grid."""

WRITTEN_CLASSES = frozenset({
    "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.481.3",
})  # fmt: skip
"""SOP classes of the DICOM files that a run writes: Segmentation, Comprehensive 3D SR and RT Structure Set."""

READING_TRIES = 20

LEAST_FREE_BYTES = 16 * 2**20
"""Free disk space, in bytes, without which no run begins; the smallest result takes some MB."""

MOST_NAMED = 5
"""Largest number of files that a message names."""


@dataclass(frozen=True)
class Output:
    """The output folder of a run, and the files in it that may be replaced.

    Attributes:
        folder: The output folder; it is created if necessary.
        group: Group of the files. Files of an earlier run of the same group that this run does not write again are
            removed.
        inputs: Files and folders that the run reads; none of them is ever replaced or removed.
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.
        keep: Names of files of the group that stay even if this run does not write them again.
    """

    folder: Path
    group: str
    inputs: Sequence[Path] = ()
    overwrite: bool = False
    keep: Collection[str] = frozenset()


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
        _giving_way(output, present, mark)


def check_output_folder(path: str | os.PathLike[str]) -> None:
    """Check that ``path`` can become a folder for output files; nothing is created.

    Raises:
        UnusableInput: If it cannot.
        MachineLimit: If the disk is full.
    """
    check_encodable(path)
    try:
        folder = Path(path).absolute()
    except FileNotFoundError as error:
        raise UnusableInput(
            f"The output folder {shown(path)} cannot be written (the current folder was deleted); give its full path."
        ) from error
    existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if existing.is_symlink() and not existing.exists():
        problem = f"{existing} is a link to a folder that does not exist"
    elif not existing.is_dir():
        problem = f"{existing} is a file"
    else:
        problem = _naming_problem(folder) or _writing_problem(existing)
    if problem:
        raise UnusableInput(f"The output folder {shown(path)} cannot be written ({problem}); choose another one.")
    check_room(existing, LEAST_FREE_BYTES)


def _naming_problem(folder: Path) -> str:
    """Return why no folder can have this name, for example because it is too long; "" if one can."""
    try:
        folder.lstat()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _writing_problem(folder: Path) -> str:
    """Return why no file can be written into ``folder``; "" if writing is possible."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def check_room(folder: Path, needed_bytes: int) -> None:
    """Check the free space on the disk of ``folder``, or of its nearest existing parent.

    Raises:
        MachineLimit: If there are fewer than ``needed_bytes``.
    """
    disk = shutil.disk_usage(_nearest_folder(folder))
    if disk.total > 0 and disk.free < needed_bytes:
        raise MachineLimit(
            f"The disk of {folder} has {disk.free / 2**20:.0f} MB of free space, but the results need at least "
            f"{needed_bytes / 2**20:.0f} MB; free some disk space or choose another output folder."
        )


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
        place = _nearest_folder(output.folder)
        remove_left_behind(place, PRIVATE_PREFIX)
        if output.folder.is_dir():
            settle(output.folder, on_progress)
            remove_left_behind(output.folder.absolute().parent, PRIVATE_PREFIX)  # from runs creating it
        with private_folder(place, PRIVATE_PREFIX) as private:
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
        if not _committed(folder):
            return
        with held(folder, on_progress):
            _complete_moves(folder)
        remove_left_behind(folder, PRIVATE_PREFIX)
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
        with held(folder, on_progress):
            _complete_moves(folder)  # of a run killed since this one began
            _exchange(new, output, Mark(run, written))


def _exchange(new: Path, output: Output, written: Mark) -> None:
    folder = output.folder.absolute()
    earlier = read_mark(folder)
    gives_way = _giving_way(output, written.files.keys(), earlier)
    kept = {
        name: file
        for name, file in (earlier.files if earlier else {}).items()
        if name not in gives_way and exists(folder / name)
    }
    Mark(written.run, {**kept, **written.files}).write(new / MARK_FILE)
    exchange = {"program": PROGRAM, "run": written.run, "gives_way": gives_way}
    (new / EXCHANGE_FILE).write_text(json.dumps(exchange), encoding="utf-8")
    (new / OLD).mkdir()
    committed = folder / f"{COMMITTED_PREFIX}{written.run}"
    moves = _moves(committed, folder, gives_way, [*written.files, MARK_FILE])
    begun: list[Move] = []
    try:
        new.rename(committed)
        _move(moves, begun)
    except BaseException:  # Ctrl-C too: a partial result must not remain
        if all(_moved_back(*move) for move in reversed(begun)) and committed.exists():
            committed.rename(new)
        raise
    with contextlib.suppress(OSError):  # all files are in place; the next run removes the rest
        committed.rename(new)


def _complete_moves(folder: Path) -> None:
    """Complete the moves of killed runs in ``folder``, which is locked."""
    for committed, gives_way in _committed(folder).items():
        names = _files_in(committed)
        _check_unchanged(committed, folder, gives_way, names)
        with private_folder(folder, PRIVATE_PREFIX) as private:
            _move(_moves(committed, folder, gives_way, names))
            committed.rename(private / NEW)


def _giving_way(output: Output, names: Collection[str], mark: Mark | None) -> dict[str, str]:
    """Return the files in the folder that files with these names would replace, with their checksums.

    Raises:
        UnusableInput: If one of them may not be replaced; nothing has been touched then.
    """
    folder, proven = output.folder.absolute(), mark or Mark()
    ours = {name for name in proven.names_of(output.group) if is_regular(folder / name)}
    obsolete = {name for name in ours - {*names, *output.keep} if not _is_input(folder / name, output.inputs)}
    gives_way, refused = {}, []
    for name in sorted({*names, *obsolete, MARK_FILE}):
        path = folder / name
        if not exists(path):
            continue
        if not is_regular(path) and not path.is_symlink():
            raise UnusableInput(
                f"{output.folder / name} is not a regular file, but the run must write a result with that name; "
                "rename it, or choose another output folder."
            )
        if _is_input(path, output.inputs):
            raise UnusableInput(
                f"{output.folder / name} is an input of this run, but the run must write a result with that name; "
                "choose another output folder."
            )
        is_mark = name == MARK_FILE and mark is not None
        if not (is_mark or output.overwrite or (_is_of_group(name, output.group, proven) and proven.proves(path))):
            refused.append(name)
        gives_way[name] = fingerprint(path)
    if refused:
        more = f" and {len(refused) - MOST_NAMED} more" if len(refused) > MOST_NAMED else ""
        raise UnusableInput(
            f"{', '.join(refused[:MOST_NAMED])}{more} in {output.folder} would be replaced, but LungTumorSeg did not "
            "write it, or it was changed after LungTumorSeg wrote it; move it, choose another output folder, or "
            "allow it with --overwrite."
        )
    return gives_way


def _is_of_group(name: str, group: str, mark: Mark) -> bool:
    file = mark.files.get(name)
    return file is not None and (file.group == group or name in SHARED_FILES)


def _is_input(path: Path, inputs: Sequence[Path]) -> bool:
    """Return whether ``path``, which exists, is one of ``inputs`` or a slice in a DICOM folder among them."""
    for each in inputs:
        with contextlib.suppress(OSError):
            if path.samefile(each):
                return True
            if each.is_dir() and each.resolve() in path.resolve().parents and _may_be_slice(path):
                return True
    return False


def may_be_resampled(source: Path) -> bool:
    """Return whether a CT is DICOM.

    Only DICOM slices may have to be resampled to a regular grid, which adds a file with the resampled CT.
    """
    return source.is_dir() or (source.is_file() and _is_dicom(source))


def _may_be_slice(path: Path) -> bool:
    """Return whether a file is DICOM, except for the kinds that a run writes."""
    if not _is_dicom(path):
        return False
    from ..io.dicom_files import stated_class  # imports pydicom, so only if needed

    return stated_class(path) not in WRITTEN_CLASSES


def _is_dicom(path: Path) -> bool:
    try:
        return is_dicom_file(path)
    except (OSError, UnusableInput):  # the reader of the file reports why it cannot be read
        return False


def _committed(folder: Path) -> dict[Path, dict[str, str]]:
    """Return the committed folders in ``folder`` whose files have not all moved yet.

    They are recognized by their list of files, not by their name.

    Returns:
        The names and checksums of the files that those of each folder replace.

    Raises:
        OSError: If a list of files cannot be read, so that nobody knows what the folder holds.
    """
    found = sorted(path for path in folder.glob(f"{COMMITTED_PREFIX}*") if path.is_dir() and not path.is_symlink())
    exchanges = {path: _exchange_of(path) for path in found}
    return {path: gives_way for path, gives_way in exchanges.items() if gives_way is not None}


def _exchange_of(committed: Path) -> dict[str, str] | None:
    """Return the names and checksums of the files that those of ``committed`` replace.

    The result is None if LungTumorSeg did not create the folder.
    """
    path = committed / EXCHANGE_FILE
    try:
        values = read_json(path) if is_regular(path) else None
    except ValueError:
        return None
    if not isinstance(values, dict):
        return None
    gives_way = values.get("gives_way")
    if values.get("program") != PROGRAM or f"{COMMITTED_PREFIX}{values.get('run')}" != committed.name:
        return None
    if not isinstance(gives_way, dict) or not all(is_plain_name(name) or name == MARK_FILE for name in gives_way):
        return None
    return gives_way


def _check_unchanged(committed: Path, folder: Path, gives_way: Mapping[str, str], names: Collection[str]) -> None:
    """Check that the files to be replaced are unchanged, and that nothing new is in the way.

    Raises:
        UnusableInput: If a file has changed or is in the way.
    """
    for name in {*gives_way, *names}:
        path = folder / name
        if not exists(path):
            continue
        has_given_way = exists(committed / OLD / name)
        if has_given_way and not exists(committed / name):  # the new file, or the user's if ours was obsolete
            continue
        if has_given_way or name not in gives_way or not _is_same(path, gives_way[name]):
            raise UnusableInput(
                f"An interrupted run left its results in {committed}, and {path} was changed after that; move {path} "
                "to another place and try again."
            )


def _is_same(path: Path, checksum: str) -> bool:
    return (is_regular(path) or path.is_symlink()) and fingerprint(path) == checksum


def _moves(committed: Path, folder: Path, gives_way: Collection[str], names: Collection[str]) -> list[Move]:
    """Return the moves of the files that give way into ``committed``, then of those in ``committed`` to their place."""
    out = [(folder / name, committed / OLD / name) for name in sorted(gives_way, key=_order, reverse=True)]
    return [*out, *((committed / name, folder / name) for name in sorted(names, key=_order))]


def _move(moves: Sequence[Move], begun: list[Move] | None = None) -> None:
    """Carry out those moves that have not been completed, and append each to ``begun`` before it begins."""
    for source, target in moves:
        if not exists(target):
            if begun is not None:
                begun.append((source, target))
            with contextlib.suppress(FileNotFoundError):  # another run was faster
                source.replace(target)


def _moved_back(source: Path, target: Path) -> bool:
    try:
        target.replace(source)
    except FileNotFoundError:  # it had not moved yet
        return True
    except OSError:
        return False
    return True


def _order(name: str) -> tuple[bool, str]:
    """Return a sort key for the order in which files appear.

    JSON files such as summary.json are last, so that other programs do not mistake a part of the result for the whole.
    """
    return name.endswith(".json"), name


def _files_in(committed: Path) -> list[str]:
    return [path.name for path in committed.iterdir() if path.name not in (EXCHANGE_FILE, OLD)]


def _state(folder: Path) -> tuple[object, ...]:
    mark = read_mark(folder)
    return (mark.run if mark else "", *_committed(folder))


def _nearest_folder(folder: Path) -> Path:
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())


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
