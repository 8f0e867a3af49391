"""The command ``lungtumorseg``: parse the arguments, call the engine, write the results.

Exit codes: 0 success, 2 unusable input or arguments, 3 a limit of the machine, 130 cancelled; any other code is a bug.
"""

from __future__ import annotations

import argparse
import errno
import json
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import NOTICE, __version__
from .core.errors import CANCELLED, MACHINE, UNUSABLE, MachineLimit, UnusableInput
from .core.events import Cancelled, Progress
from .core.machine import check_memory_limit, is_out_of_memory, missing_package, use_threads
from .core.messages import OUT_OF_MEMORY, unreadable, unwritable
from .core.texts import printable
from .followup.command import EXAMPLES, add_arguments
from .options import OPTION, OPTIONS
from .process.answering import EXAMPLE as ANSWERING_EXAMPLE
from .process.arguments import (
    CT_HELP,
    add_case,
    add_common,
    add_input,
    add_output,
    add_overwrite,
    add_places,
    add_report_options,
    add_seed,
    add_segment_options,
    add_series,
    path_argument,
    positive_number,
    usual_values,
)
from .process.channel import Channel, JsonLinesChannel, TerminalChannel, set_stdout_aside
from .process.command_parser import CommandParser, Parser, PrintCompletion
from .process.progress import COMMAND_SHARES
from .process.streams import ended_by_signals, log_safely, open_standard_streams, say, settle_streams
from .process.terminal import ProgressDisplay

if TYPE_CHECKING:
    from .core.volume import CTVolume
    from .lesions import LesionReport
    from .results.contents import Extras

BUG = 1
"""Exit code of an unexpected failure."""

STOPPED = "Cancelled. No incomplete results were written."
SHELLS = ("bash", "zsh", "tcsh")
PLACES = ("point", "box", "also", "but_not")
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ENOMEM}
NO_ACCESS = {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESTALE}
"""Error codes of a file that may not be opened, or that vanished with its drive or share during the run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The command line; by default that of the process.

    Returns:
        The exit code: 0 success, 2 unusable input or arguments, 3 a limit of the machine, 130 cancelled; any other code
        is a bug. The last line that a failed command writes to stderr is the message.
    """
    open_standard_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser().parse_args(given)
    except UnusableInput as error:
        _channel(events="jsonl" in given or "--events=jsonl" in given).error(UNUSABLE, str(error))
        return UNUSABLE
    except ImportError as error:  # of the package that completes commands in a shell
        _channel(events=False).error(MACHINE, missing_package(error))
        return MACHINE
    log_safely(logging.INFO if options.verbose else logging.ERROR if options.quiet else logging.WARNING)
    channel = _channel_for(options)
    code, message = _run(options, channel)
    if message:
        channel.error(code, message)
    settle_streams()
    return code


def _run(options: argparse.Namespace, channel: Channel) -> tuple[int, str]:
    """Run the command; return its exit code, and one sentence unless the code is 0."""
    try:
        with ended_by_signals(channel.cancel):
            if options.threads:
                use_threads(options.threads)
            check_memory_limit()
            options.run(options, channel)
    except Exception as error:
        known = _known_failure(error)
        if options.verbose or known is None:
            say(sys.stderr, printable(traceback.format_exc(), keep="\n"))
        return known or (
            BUG,
            f"LungTumorSeg failed ({type(error).__name__}: {error}). This is a programming error; please report it "
            "with the lines above.",
        )
    except KeyboardInterrupt:
        return CANCELLED, STOPPED
    return 0, ""


def _known_failure(error: Exception) -> tuple[int, str] | None:
    """Return the exit code and the message for a failure that the user can act on; None for a bug."""
    if is_out_of_memory(error):
        return MACHINE, OUT_OF_MEMORY
    if isinstance(error, Cancelled):
        return CANCELLED, str(error) or STOPPED
    if isinstance(error, UnusableInput):
        return UNUSABLE, str(error)
    if isinstance(error, MachineLimit):
        return MACHINE, str(error)
    if isinstance(error, ImportError):
        return MACHINE, missing_package(error)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return MACHINE, unwritable(error.filename or "The output", error)
    if isinstance(error, OSError) and error.errno in NO_ACCESS and error.filename:
        return UNUSABLE, unreadable(error.filename, error)
    return None


def _channel(*, events: bool, cancel_on_eof: bool = False) -> Channel:
    stdout = set_stdout_aside()
    return JsonLinesChannel(stdout, cancel_on_eof=cancel_on_eof) if events else TerminalChannel(stdout)


def _channel_for(options: argparse.Namespace) -> Channel:
    if getattr(options, "events", None) == "jsonl":
        return _channel(events=True, cancel_on_eof=options.cancel_on_eof)
    display = ProgressDisplay(COMMAND_SHARES[options.command])
    return TerminalChannel(set_stdout_aside(), display, quiet=options.quiet)


# Each command imports what it needs only when it runs, so that help and wrong arguments are answered at once, and
# commands without a network work where torch is not installed.


def _segment(options: argparse.Namespace, channel: Channel) -> None:
    from .io.images import read_ct

    if not (options.point or options.box):  # those need the second network only, which torch computes
        _check_backend(options)
    _check_result_output(options, options.input)
    channel.progress(Progress("reading", 0, 1))
    ct = read_ct(options.input, series=options.series)
    channel.progress(Progress("reading", 1, 1))
    _, data, text = _segment_ct(ct, options, channel, source=options.input)
    channel.result(data, text)


def _segment_ct(
    ct: CTVolume, options: argparse.Namespace, channel: Channel, *, source: Path | None = None
) -> tuple[LesionReport, dict[str, Any], str]:
    """Segment a CT and write the result; return the lesions, the data for programs and the text for people."""
    from .pipeline import outline, segment
    from .results.contents import BYTES_PER_VOXEL
    from .results.folder import check_room
    from .results.writer import write_result

    extras = _with_source(_result_extras(options), ct, options)
    check_room(options.output, int(BYTES_PER_VOXEL * ct.array.size))
    choices = {option.name: getattr(options, option.name) for option in OPTIONS}
    places = {name: getattr(options, name, None) or () for name in PLACES}
    if any(places.values()):
        result = outline(ct, **places, options=choices, on_progress=channel.progress)
    else:
        result = segment(ct, choices, channel.progress)
    files = {"picture": not options.no_picture, "surfaces": options.surfaces, "source": source}
    summary = write_result(
        result, options.output, **files, extras=extras, overwrite=options.overwrite, on_progress=channel.progress
    )
    text = _report_text(result.report, summary["warnings"], options.output)
    return result.report, {"output": str(options.output.resolve()), "summary": summary}, text


def _check_backend(options: argparse.Namespace) -> None:
    """Check before the work begins that the library for the network is installed."""
    from .inference.backend import choose_backend

    choose_backend(options.backend or OPTION["backend"].default)


def _check_result_output(options: argparse.Namespace, source: Path | None = None) -> None:
    """Check the output of ``segment`` and ``demo`` before the work begins."""
    from .results.contents import RESULT, check_formats, result_files
    from .results.folder import Output, check_output, may_be_resampled

    check_formats(options.formats or (), source)
    resampled = source is not None and may_be_resampled(source)
    files = {"picture": not options.no_picture, "surfaces": options.surfaces, "resampled": resampled}
    output = Output(options.output, RESULT, () if source is None else (source,), options.overwrite)
    check_output(output, result_files(_result_extras(options), **files))


def _result_extras(options: argparse.Namespace) -> Extras:
    return _extras(
        options, report=options.report if options.report is not None else options.pdf or not options.no_picture
    )


def _extras(options: argparse.Namespace, *, report: bool) -> Extras:
    from .results.contents import Extras

    formats = frozenset(options.formats or ())
    return Extras(report, options.patient, options.margins or (), options.case, formats, pdf=options.pdf)


def _with_source(extras: Extras, ct: CTVolume, options: argparse.Namespace) -> Extras:
    """Return the extras with the slices of the CT, if DICOM results are wanted."""
    from .results.exports import dicom_source

    return replace(extras, dicom=dicom_source(ct, extras.formats, deidentified=options.deidentified))


def _batch(options: argparse.Namespace, channel: Channel) -> None:
    from .cohort.command import Batch, run_batch

    _result_extras(options)  # checks values that every run would refuse
    if options.scheduler is None:  # other computers have packages of their own
        _check_backend(options)
    run_batch(Batch.of(options, options.passed_on), channel)


def _answer(options: argparse.Namespace, channel: Channel) -> None:
    from .process.answering import run

    run(options, channel)


def _isolate(options: argparse.Namespace, channel: Channel) -> None:
    from .io.images import read_ct
    from .results.contents import ISOLATION, isolation_files
    from .results.folder import Output, check_output, may_be_resampled

    output = Output(options.output, ISOLATION, (options.input,), options.overwrite)
    check_output(output, isolation_files(resampled=may_be_resampled(options.input)))
    channel.progress(Progress("reading", 0, 1))
    _isolate_ct(read_ct(options.input, series=options.series), options, channel)


def _isolate_ct(ct: CTVolume, options: argparse.Namespace, channel: Channel) -> None:
    """Isolate the lungs of a CT, write them and report the result."""
    from .isolation import isolate_lungs
    from .results.contents import BYTES_PER_ISOLATED_VOXEL
    from .results.folder import check_room
    from .results.isolation_writer import write_isolation

    check_room(options.output, int(BYTES_PER_ISOLATED_VOXEL * ct.array.size))
    isolation = isolate_lungs(ct, channel.progress)
    channel.progress(Progress("writing", 0, 1))
    warnings = (*ct.warnings, *isolation.warnings)
    write_isolation(
        ct,
        isolation,
        options.output,
        source=options.input,
        overwrite=options.overwrite,
        case=options.case,
    )
    text = "\n".join([*_warning_lines(warnings), f"Lung isolation written to {options.output}."])
    channel.result({"output": str(options.output.resolve()), "warnings": warnings}, text)


def _measure(options: argparse.Namespace, channel: Channel) -> None:
    from .io.images import check_ct, read_ct

    check_ct(options.input)  # refuses before slow packages are imported
    from .followup.tracking import check_tracking, with_tracking
    from .io.seg_nrrd import read_segmentation
    from .lesions import find_lungs, measure, with_known
    from .results.contents import check_formats
    from .results.measuring import formats_of, is_unchanged, measure_output, run_of
    from .results.writer import write_measures

    extras = _extras(options, report=options.report is not False)
    extras = replace(extras, formats=formats_of(extras.formats, options.output, options.segmentation))
    check_formats(extras.formats, options.input)
    check_tracking(options.tracking, extras.formats)
    output = measure_output(
        options.output, options.input, options.segmentation, options.run_summary, extras, overwrite=options.overwrite
    )
    channel.progress(Progress("reading", 0, 1))
    ct = read_ct(options.input, series=options.series)
    extras = _with_source(extras, ct, options)
    channel.progress(Progress("reading", 1, 2))
    segments = with_tracking(read_segmentation(options.segmentation, ct), options.tracking)
    run, output = run_of(output, options.segmentation, options.run_summary, ct)
    lungs = find_lungs(ct, segments)
    report = with_known(measure(ct, segments, lungs=lungs), run.get("lesions", []))
    summary = write_measures(
        ct,
        report,
        options.output,
        lungs=lungs.pair,
        segments=segments,
        run=run,
        automatic=is_unchanged(options.segmentation),
        extras=extras,
        output=output,
        on_progress=channel.progress,
    )
    text = _report_text(report, summary["warnings"], options.output)
    channel.result({"output": str(options.output.resolve()), "summary": summary}, text)


def _compare(options: argparse.Namespace, channel: Channel) -> None:
    from .followup.command import run

    run(options, channel)


def _evaluate(options: argparse.Namespace, channel: Channel) -> None:
    from .io.regular_files import existing_mode

    for path in (options.prediction, options.reference):
        existing_mode(path)  # refuses before slow packages are imported
    from .evaluation import evaluate_files

    metrics = evaluate_files(
        options.prediction, options.reference, options.cases, channel.progress, overwrite=options.overwrite
    )
    channel.result(metrics, json.dumps(metrics, indent=2))


def _phantom(options: argparse.Namespace, channel: Channel) -> None:
    from .phantom.options import check_seed
    from .phantom.truth import FOLLOW_UP_FILES, PHANTOM, PHANTOM_FILES
    from .results.folder import Output, check_output

    check_seed(options.seed)
    files = FOLLOW_UP_FILES if options.followup else PHANTOM_FILES
    check_output(Output(options.output, PHANTOM, overwrite=options.overwrite), files)
    from .phantom import make_follow_up, make_phantom, write_follow_up_phantom, write_phantom  # slow, so only now

    if options.followup:
        pair = make_follow_up(options.seed, on_progress=channel.progress)
        channel.progress(Progress("writing", 0, 1))
        write_follow_up_phantom(pair, options.output, overwrite=options.overwrite)
        made = f"Phantom on two days ({pair.days} days apart) with {len(pair.lesions)} tracked lesions"
    else:
        phantom = make_phantom(options.seed, on_progress=channel.progress)
        channel.progress(Progress("writing", 0, 1))
        write_phantom(phantom, options.output, overwrite=options.overwrite)
        made = f"Phantom with {len(phantom.lesions)} lesions"
    channel.result({"output": str(options.output.resolve())}, f"{made} written to {options.output}.")


def _demo(options: argparse.Namespace, channel: Channel) -> None:
    from .phantom.options import check_seed
    from .phantom.truth import PHANTOM, PHANTOM_FILES
    from .results.folder import Output, check_output

    check_seed(options.seed)
    _check_backend(options)
    _check_result_output(options)
    check_output(Output(options.output / "phantom", PHANTOM, overwrite=options.overwrite), PHANTOM_FILES)
    from .evaluation.overlap import dice  # slow, so only now
    from .phantom import make_phantom, write_phantom

    phantom = make_phantom(options.seed, on_progress=channel.progress)
    report, data, text = _segment_ct(phantom.ct, options, channel)
    write_phantom(phantom, options.output / "phantom", overwrite=options.overwrite)
    overlap = dice(report.labels.array > 0, phantom.tumor.array > 0)
    text += f"\nThe phantom has {len(phantom.lesions)} lesions. 3D Dice of the segmentation: {overlap:.2f}."
    channel.result({**data, "dice": round(overlap, 4)}, text)


def _models(options: argparse.Namespace, channel: Channel) -> None:
    from .weights.manifest import Manifest, model_folders

    manifests = {model_id: Manifest.read(folder) for model_id, folder in model_folders().items()}
    text = "\n".join(f"{model_id}: {manifest.description}" for model_id, manifest in manifests.items())
    channel.result({"models": {model_id: manifest.description for model_id, manifest in manifests.items()}}, text)


def _train(options: argparse.Namespace, channel: Channel) -> None:
    from .training import train

    model = train(options.config, channel.progress)
    measured = model.parent / "held-out" / "metrics.json"
    metrics = json.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else None
    text = f"Model written to {model}."
    if metrics:
        found = f"{metrics['lesions_found']} of {metrics['lesions']} lesions found"
        text += f" Held-out cases: mean 3D Dice {metrics['dice_3d']:.2f}, {found}."
    channel.result({"model": str(model.resolve()), "held_out": metrics}, text)


def _bench(options: argparse.Namespace, channel: Channel) -> None:
    from .training.bench.config import read_bench_config

    read_bench_config(options.config)  # refuses before slow packages are imported
    if options.tune:
        from .training.bench.tuning import run_tuning

        tuned = run_tuning(options.config, options.tune, channel.progress)
        best = ", ".join(f"{key}: {value:.3g}" for key, value in tuned.settings.items())
        text = f"Best of {tuned.trials} trials: {best} (score {tuned.score:.3f}). All trials: {tuned.table}."
        channel.result({"settings": tuned.settings, "score": tuned.score, "table": str(tuned.table.resolve())}, text)
        return
    from .training.bench.runs import run_bench

    page = run_bench(options.config, channel.progress)
    channel.result({"page": str(page.resolve())}, f"Tables, curves and overlays written to {page}.")


def _report_text(report: LesionReport, warnings: Sequence[str], output: Path) -> str:
    """Return the text for the terminal: warnings, one line per lesion, and the output folder."""
    lines = _warning_lines(warnings)
    lines += [report.message] if report.message else []
    lines += [
        f"{lesion.segment}: {lesion.place}, {lesion.volume_ml:.2f} mL, {lesion.long_axis_mm:.0f} x "
        f"{lesion.short_axis_mm:.0f} mm"
        for lesion in report.lesions
    ]
    return "\n".join([*lines, f"Results written to {output}. {NOTICE}"])


def _warning_lines(warnings: Sequence[str]) -> list[str]:
    return [f"Warning: {warning}" for warning in warnings]


@dataclass(frozen=True)
class _Command:
    """A command of the command line; ``arguments`` are functions that add its arguments to a parser."""

    name: str
    run: Callable[[argparse.Namespace, Channel], None]
    about: str
    examples: tuple[str, ...]
    arguments: tuple[Callable[[argparse.ArgumentParser], None], ...] = ()


def _commands() -> tuple[_Command, ...]:
    """Return all commands in the order of the help."""
    return (
        _Command(
            "segment",
            _segment,
            "find and measure the lung tumors of a CT",
            (
                "ct.nii.gz -o result",
                "dicom-folder -o result --margins 5 8 --case P007",
                "ct.nii.gz -o nodule --point 61.5 -12 -310 --but-not 70 -12 -310",
            ),
            (add_input, add_segment_options, add_places),
        ),
        _Command(
            "answer",
            _answer,
            "keep a CT in memory and outline what lies at the places that a program writes to stdin as JSON lines",
            (ANSWERING_EXAMPLE,),
            (_add_answer_arguments,),
        ),
        _Command(
            "batch",
            _batch,
            "segment all CTs of a table or folder; a second run continues where the first one ended",
            (
                "cts -o cohort",
                "table.csv -o cohort --workers 2",
                "table.csv -o cohort --scheduler tcp://host:8786",
            ),
            (_add_batch_arguments,),
        ),
        _Command(
            "isolate",
            _isolate,
            "find body, lungs and spine axis and write the isolation mask, without looking for lesions",
            ("ct.nii.gz -o lungs",),
            (add_input, lambda isolate: add_case(isolate, "isolation.json")),
        ),
        _Command(
            "measure",
            _measure,
            "measure the lesions of an existing (corrected) segmentation",
            ("ct.nii.gz corrected.seg.nrrd -o measured --run-summary result/summary.json",),
            (_add_measure_arguments,),
        ),
        _Command(
            "compare",
            _compare,
            "compare two examinations of one patient: which lesions have grown",
            EXAMPLES,
            (add_arguments, add_output),
        ),
        _Command(
            "evaluate",
            _evaluate,
            "compare a segmentation with a reference and print the metrics as JSON",
            ("result/segmentation.seg.nrrd reference.nii.gz", "results references --cases table.csv"),
            (_add_evaluate_arguments,),
        ),
        _Command(
            "phantom",
            _phantom,
            "generate a synthetic chest CT and its reference masks",
            ("-o phantom --seed 7", "-o two-days --followup"),
            (add_output, add_seed, _add_followup),
        ),
        _Command(
            "demo",
            _demo,
            "generate a synthetic CT and segment it, to check an installation",
            ("-o demo",),
            (add_segment_options, add_output, add_seed),
        ),
        _Command("models", _models, "list the shipped and installed models", ("",)),
        _Command("train", _train, "train a model from a YAML configuration", ("config.yaml",), (_add_train_arguments,)),
        _Command(
            "bench",
            _bench,
            "train and compare several networks by cross-validation",
            ("bench.yaml",),
            (_add_bench_arguments,),
        ),
    )


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="lungtumorseg",
        description=f"Find, measure and display lung tumors in chest CT. {NOTICE}",
        epilog="Run 'lungtumorseg COMMAND --help' for the options of a command. Exit codes: 0 success, 2 unusable "
        "input, 3 machine limit (memory, disk, device or package), 130 cancelled.",
    )
    parser.add_argument("--version", action="version", version=f"lungtumorseg {__version__}")
    parser.add_argument(
        "--print-completion",
        choices=SHELLS,
        action=PrintCompletion,
        help="print the script that lets a shell complete commands and options (needs the package shtab)",
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND", dest="command", parser_class=Parser)
    for command in _commands():
        lines = "\n".join(f"  lungtumorseg {command.name} {example}".rstrip() for example in command.examples)
        about = f"{command.about[:1].upper()}{command.about[1:]}."
        own = parsers.add_parser(command.name, help=command.about, description=about, epilog=f"examples:\n{lines}")
        own.set_defaults(run=command.run)
        for add in (*command.arguments, add_common):
            add(own)
    return parser


def _add_answer_arguments(answer: argparse.ArgumentParser) -> None:
    answer.add_argument("input", metavar="INPUT", type=path_argument, help=CT_HELP)
    add_series(answer)
    OPTION["model"].add_to(answer, usual_values()["model"])
    answer.set_defaults(events="jsonl", cancel_on_eof=True)


def _add_followup(phantom: argparse.ArgumentParser) -> None:
    phantom.add_argument(
        "--followup",
        action="store_true",
        help="also generate the same patient on another day, with lesions that have grown, shrunk, split, appeared or "
        "disappeared, and the truth about them",
    )


def _add_train_arguments(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "config", metavar="CONFIG", type=path_argument, help="a YAML file such as those in the folder training/configs"
    )


def _add_bench_arguments(bench: argparse.ArgumentParser) -> None:
    bench.add_argument(
        "config",
        metavar="CONFIG",
        type=path_argument,
        help="a YAML file such as ablation.yaml in the folder training/bench",
    )
    bench.add_argument(
        "--tune",
        metavar="N",
        type=positive_number,
        help="search for the best values of the settings in the section tune with N trials, instead of comparing",
    )


def _add_measure_arguments(measure: argparse.ArgumentParser) -> None:
    measure.add_argument("input", metavar="CT", type=path_argument, help=CT_HELP)
    measure.add_argument(
        "segmentation", metavar="SEGMENTATION", type=path_argument, help="segmentation or label map of the CT"
    )
    add_output(measure)
    add_report_options(measure, "write report.html (default: yes)")
    add_series(measure)
    measure.add_argument(
        "--run-summary",
        metavar="JSON",
        type=path_argument,
        help="summary.json of the run that found the lesions; its model and confidence values are carried over",
    )
    measure.add_argument(
        "--tracking",
        metavar="JSON",
        type=path_argument,
        help="followup.json of compare with this segmentation as the later one; in DICOM results, a lesion that was "
        "matched keeps its tracking identifier",
    )


def _add_evaluate_arguments(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument(
        "prediction",
        metavar="PREDICTION",
        type=path_argument,
        help="a label map, a .seg.nrrd file, or a folder of such files",
    )
    evaluate.add_argument(
        "reference",
        metavar="REFERENCE",
        type=path_argument,
        help="reference of the same kind; in a folder, files are matched by name",
    )
    evaluate.add_argument("--cases", metavar="TABLE.csv", type=path_argument, help="also write one row per case")
    add_overwrite(evaluate)


def _add_batch_arguments(batch: argparse.ArgumentParser) -> None:
    batch.add_argument(
        "input",
        metavar="TABLE.csv|FOLDER",
        type=path_argument,
        help="a table with the column path, and if known patient, date, phase, series and case; or a folder that is "
        "searched for CTs",
    )
    add_output(batch)
    places = batch.add_mutually_exclusive_group()
    places.add_argument(
        "--workers",
        metavar="N",
        type=positive_number,
        help="number of CTs to segment at the same time (default: as many as memory and processor cores allow)",
    )
    places.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="address of a Dask scheduler, whose workers segment the CTs and see the same files (default: none)",
    )
    own = len(batch._actions)
    add_segment_options(batch, of_one_ct=False)
    batch.set_defaults(passed_on=batch._actions[own:], case=None, patient=None)
