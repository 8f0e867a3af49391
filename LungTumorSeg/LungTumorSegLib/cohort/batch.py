"""The command ``batch``: segment all CTs of a table or folder into one output folder."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import NOTICE
from ..core.errors import MachineLimit, UnusableInput
from ..core.events import Cancelled
from ..core.messages import CANCELLED_BATCH
from ..core.texts import counted, listed, shown, shown_last
from ..options import OPTIONS, SegmentOptions
from ..process.channel import Channel
from ..results.contents import COHORT
from ..results.folder import check_output, complete_or_nothing
from ..results.replaceable_files import Output
from ..weights.manifest import Manifest, find_model, model_folders
from ..weights.model_card import CARD_FILE
from .discovery import check_hides_no_ct, find_items
from .earlier_rows import earlier_rows
from .input_table import read_table
from .items import Item, with_unique_cases
from .output_tables import (
    COHORT_FILE,
    LESIONS_FILE,
    PHASES_FILE,
    SAME_VOXELS,
    Row,
    row_of,
    with_repeats_noted,
    write_tables,
)
from .overview import OVERVIEW_FILE, write_overview
from .phases import phase_items, series_of_phases, with_phases
from .progress import CohortProgress
from .records import DONE, FAILED, WAITING, Record
from .run_item import Task
from .schedule import default_workers, run_locally, run_on_cluster

COHORT_FILES = (COHORT_FILE, LESIONS_FILE, PHASES_FILE, OVERVIEW_FILE)

NOT_PASSED_ON = frozenset({"events", "cancel_on_eof", "case"})
"""Options of ``segment`` that concern its caller only, or that every CT has for itself."""


@dataclass(frozen=True)
class Batch:
    """What to segment, and how.

    Attributes:
        source: A table or a folder.
        output: The output folder.
        arguments: Arguments of ``lungtumorseg segment`` for every CT.
        options: The options of each run.
        workers: Number of CTs at the same time; None lets the machine decide.
        scheduler: Address of a Dask scheduler; None runs on this machine.
        threads: Largest number of processor threads of all runs on this machine together, or of each run on a cluster.
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.
        items: The phases of one CT, whose results replace those of any other CT; if empty, the CTs are those of the
            table or folder, and stay beside those of earlier batches.
    """

    source: Path
    output: Path
    arguments: tuple[str, ...]
    options: SegmentOptions
    workers: int | None = None
    scheduler: str | None = None
    threads: int | None = None
    overwrite: bool = False
    items: tuple[Item, ...] = ()

    @classmethod
    def of(cls, options: argparse.Namespace, items: Sequence[Item] = ()) -> Batch:
        """Return the batch that the arguments of the command line describe.

        Args:
            options: The parsed arguments of ``batch`` or ``segment``; ``passed_on`` lists the options of a run.
            items: The phases of one CT, if it is not a batch of several CTs.
        """
        passed = [action for action in options.passed_on if action.dest not in NOT_PASSED_ON]
        return cls(
            options.input,
            options.output,
            tuple(text for action in passed for text in arguments_of(action, getattr(options, action.dest))),
            SegmentOptions.of({option.name: getattr(options, option.name) for option in OPTIONS}),
            options.workers,
            options.scheduler,
            options.threads,
            options.overwrite,
            tuple(items),
        )


def arguments_of(action: argparse.Action, value: object) -> list[str]:
    """Return the arguments of the command line from which ``action`` parses ``value``; empty for its default."""
    flag = action.option_strings[0]
    if value is None or value == action.default:
        return []
    if isinstance(action, argparse.BooleanOptionalAction):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if action.nargs == 0:
        return [flag]
    if isinstance(value, list | tuple):
        return [flag, *map(str, value)] if action.nargs else [f"{flag}={each}" for each in value]
    return [f"{flag}={_absolute_model(str(value)) if action.dest == 'model' else value}"]


def _absolute_model(model: str) -> str:
    """Return a model's id, or the absolute path of its folder, since a cluster's workers have other current folders."""
    return model if model in model_folders() else str(find_model(model).resolve())


def run_batch(batch: Batch, channel: Channel) -> list[Row]:
    """Segment a cohort and write its tables and overview.

    CTs whose result exists, from the same input with the same options and model, are not segmented again. The CTs of
    earlier batches in the same folder stay in the tables.

    Args:
        batch: What to segment.
        channel: Receives one item per CT, first as waiting and then with its outcome, progress and the result.

    Returns:
        The rows of the CTs of this batch.

    Raises:
        UnusableInput: If the source or the output cannot be used, or no CT at all could be segmented.
        MachineLimit: If the machine prevented some results; a second run of the command completes them.
        Cancelled: If the user asked to stop; finished CTs are kept.
    """
    output = Output(batch.output, COHORT, [batch.source], batch.overwrite)
    check_output(output, COHORT_FILES)
    items, folder = _items(batch), batch.output.absolute()
    records = _carry_out(batch, items, folder, channel)
    own = [row_of(item, records[item.case], folder) for item in items]
    rows = with_repeats_noted([*own, *([] if batch.items else earlier_rows(own, folder))])
    with complete_or_nothing(output) as private:
        write_tables(rows, private)
        _write_phases(rows, folder, private)
        write_overview(rows, folder, private / OVERVIEW_FILE)
    _report(rows[: len(own)], rows[len(own) :], batch, channel)
    return rows[: len(own)]


def _tasks(batch: Batch, items: Sequence[Item], folder: Path, workers: int) -> list[Task]:
    """Return how to segment each CT of the work list into ``folder``.

    Raises:
        UnusableInput: If there is no such model.
        MachineLimit: If the model is damaged.
    """
    choices = _choices(batch)
    threads = (batch.threads or 0) if batch.scheduler else max(1, (batch.threads or os.cpu_count() or 1) // workers)
    return [
        Task(item, folder, batch.arguments, choices, batch.overwrite, threads, of_any_ct=bool(batch.items))
        for item in items
    ]


def _workers(batch: Batch, items: Sequence[Item]) -> int:
    """Return how many CTs are segmented on this machine at the same time."""
    if batch.scheduler:
        return 1
    return batch.workers or default_workers(items, cpu_only=batch.options.device == "cpu")


def _carry_out(batch: Batch, items: Sequence[Item], folder: Path, channel: Channel) -> dict[str, Record]:
    """Segment the CTs of the work list into ``folder``; return the record of each case.

    Raises:
        UnusableInput: If there is no such model.
        MachineLimit: If the model is damaged.
        Cancelled: If the user asked to stop.
    """
    workers = _workers(batch, items)
    tasks = _tasks(batch, items, folder, workers)
    records: dict[str, Record] = {}
    progress = CohortProgress(len(tasks))

    def on_record(task: Task, record: Record) -> None:
        records[task.item.case] = record
        progress.end(task.item.case)
        row = row_of(task.item, record, folder)
        text = f"{len(records)}/{len(tasks)} {task.item.case}: {row.in_words}"
        channel.item(row.event, text)
        check()

    def check() -> None:
        channel.progress(progress.progress)

    for item in items:
        channel.item(Row(item, Record(WAITING)).event, "")
    try:
        if batch.scheduler:
            run_on_cluster(tasks, batch.scheduler, on_record, check, progress)
        else:
            run_locally(tasks, workers, on_record, check, progress)
    except (Cancelled, KeyboardInterrupt) as error:
        raise Cancelled(CANCELLED_BATCH) from error
    return records


def _items(batch: Batch) -> list[Item]:
    """Return the work list.

    Raises:
        UnusableInput: If there is no CT, or the output folder, which is not searched, contains one.
    """
    if batch.items:
        return with_unique_cases(batch.items)
    if not batch.source.is_dir():
        found = read_table(batch.source)
        nothing = f"{shown(batch.source)} lists no CT; add one row per CT."
    else:
        check_hides_no_ct(batch.output, batch.source)
        found = find_items(batch.source, batch.output)
        nothing = f"{shown(batch.source)} contains no CT; choose a folder with DICOM or image files, or a table."
    if not found:
        raise UnusableInput(nothing)
    return with_unique_cases(with_phases(found))


def _write_phases(rows: Sequence[Row], output: Path, folder: Path) -> None:
    """Write phases.csv if there is a 4D CT."""
    by_item = {row.item: row for row in rows}
    groups = [[by_item[item] for item in items] for items in series_of_phases([row.item for row in rows])]
    if groups:
        from .motion import write_phases  # It imports slow packages, which only 4D CTs need.

        write_phases(groups, output, folder / PHASES_FILE)


def segment_phases(options: argparse.Namespace, phases: Sequence[str], channel: Channel) -> None:
    """Segment each phase of a 4D CT, as ``batch`` does, with the arguments of ``segment``.

    Args:
        options: The parsed arguments.
        phases: What tells the phases apart.
        channel: See ``run_batch``.
    """
    whole = Item("", options.input.absolute(), patient=options.case or "", series=options.series or "")
    run_batch(Batch.of(options, phase_items(whole, phases)), channel)


def _choices(batch: Batch) -> str:
    """Return everything on which the results depend, except the inputs.

    Raises:
        UnusableInput: If there is no such model.
        MachineLimit: If the model is damaged.
    """
    folder = find_model(batch.options.model)
    settings = asdict(batch.options.settled(Manifest.read(folder)))
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != CARD_FILE]
    model = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    others = [text for text in batch.arguments if not text.startswith("--model=")]
    return json.dumps([settings, model, others], sort_keys=True)


def _report(rows: Sequence[Row], earlier: Sequence[Row], batch: Batch, channel: Channel) -> None:
    """Report the result of a batch.

    Args:
        rows: The CTs of the batch.
        earlier: The CTs of earlier batches in the tables.
        batch: What was segmented.
        channel: Receives the result.

    Raises:
        UnusableInput: If no CT could be segmented.
        MachineLimit: If the machine prevented some results.
    """
    _check_results(rows, batch)
    states = Counter(row.record.state for row in rows)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    result = f"{counted(len(rows), 'CT')}: {counts}. Results written to {shown_last(batch.output)}. {NOTICE}"
    data = {"output": str(batch.output.resolve()), "states": dict(states)}
    channel.result(data, "\n".join([*_warnings(rows, earlier), result]))


def _check_results(rows: Sequence[Row], batch: Batch) -> None:
    """Check that no CT of a batch failed, and that at least one could be segmented.

    Raises:
        UnusableInput: If no CT could be segmented.
        MachineLimit: If the machine prevented some results.
    """
    failed = [row for row in rows if row.record.state == FAILED]
    if failed:
        raise MachineLimit(
            f"{len(failed)} of {len(rows)} CTs failed, the first one ({failed[0].item.case}) because: "
            f"{failed[0].record.reason} The other results are in {batch.output}; run the same command again to "
            "complete them."
        )
    if not any(row.record.state == DONE for row in rows):
        several = f"None of the {len(rows)} CTs could be segmented, the first one"
        none = several if rows[1:] else "The only CT could not be segmented"
        raise UnusableInput(
            f"{none} ({rows[0].item.case}) because: {rows[0].record.reason} All reasons are in "
            f"{batch.output / COHORT_FILE}."
        )


def _warnings(rows: Sequence[Row], earlier: Sequence[Row]) -> list[str]:
    """Return one line per doubt about the tables; the arguments are those of ``_report``."""
    warnings = []
    versions = {str(row.summary.get("software_version")) for row in rows if row.summary}
    if len(versions) > 1:
        warnings.append(f"Warning: the results were made by several versions ({', '.join(sorted(versions))}).")
    if earlier:
        cases = listed([row.item.case for row in earlier])
        warnings.append(
            f"Warning: the tables also list CTs of earlier batches into the same folder ({cases}); to leave them out, "
            f"delete {COHORT_FILE} and run the command again."
        )
    if repeated := [row.item.case for row in rows if SAME_VOXELS in row.item.note]:
        warnings.append(f"Warning: some CTs are copies of others ({listed(repeated)}); see the column note.")
    return warnings
