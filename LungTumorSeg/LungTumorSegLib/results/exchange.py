"""The exchange of the files of an earlier run for those of a new one, which the next process completes after a kill.

A single rename commits a run: the folder ``new-results-RUN`` appears in the output folder, with the new files and a
list of the files that they replace. Then the files move; summary.json is the first to leave and the last to arrive.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..core.complete_files import UNFINISHED_PREFIX
from ..core.errors import UnusableInput
from ..core.json_files import read_json, write_json
from ..core.private_folder import private_folder
from .mark import (
    MARK_FILE,
    PROGRAM,
    Mark,
    exists,
    fingerprint,
    is_plain_name,
    is_regular,
    read_mark,
)
from .replaceable_files import Output, files_giving_way

Move = tuple[Path, Path]
"""From where to where a file moves."""

NEW = "new"
"""Folder for the new files, within the private folder of a run."""

COMMITTED_PREFIX = "new-results-"

EXCHANGE_FILE, OLD = ".exchange.json", ".old"
"""Names within a committed folder.

The file lists the files to replace; the folder holds them until the move is complete.
"""


def exchange(new: Path, output: Output, written: Mark) -> None:
    """Exchange the files in the output folder, which is locked, for those in ``new``; undo it if a move fails.

    Args:
        new: The folder with the new files.
        output: The output folder.
        written: What the mark of the folder says about the new files.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        OSError: If a file cannot be moved.
    """
    folder = output.folder.absolute()
    earlier = read_mark(folder)
    gives_way = files_giving_way(output, written.files.keys(), earlier)
    kept = {
        name: file
        for name, file in (earlier.files if earlier else {}).items()
        if name not in gives_way and exists(folder / name)
    }
    Mark(written.run, {**kept, **written.files}).write(new / MARK_FILE)
    exchange = {"program": PROGRAM, "run": written.run, "gives_way": gives_way}
    write_json(new / EXCHANGE_FILE, exchange)
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


def complete_moves(folder: Path) -> None:
    """Complete the moves of killed runs in ``folder``, which is locked."""
    for committed, gives_way in committed_in(folder).items():
        names = _files_in(committed)
        _check_unchanged(committed, folder, gives_way, names)
        with private_folder(folder, UNFINISHED_PREFIX) as private:
            _move(_moves(committed, folder, gives_way, names))
            committed.rename(private / NEW)


def committed_in(folder: Path) -> dict[Path, dict[str, str]]:
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
