"""The command ``lungtumorseg``: parse, call, write. Exit codes: 0 done, 2 unusable input, 3 the machine cannot, 130 cancelled."""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import NOTICE
from .core.errors import CANCELLED, MACHINE, OUT_OF_MEMORY, PACKAGE_REMEDY, UNUSABLE, MachineLimit, UnusableInput
from .core.events import Cancelled, Progress
from .options import OPTIONS
from .process.channel import Channel, JsonLinesChannel, TerminalChannel, set_stdout_aside

if TYPE_CHECKING:
    from .core.volume import CTVolume
    from .lesions import LesionReport
    from .results.writer import Extras

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code. The last line on stderr of a failed run is the message."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(given)
    except UnusableInput as error:
        _channel(events="jsonl" in given or "--events=jsonl" in given).error(UNUSABLE, str(error))
        return UNUSABLE
    channel = _channel(
        events=getattr(options, "events", None) == "jsonl", cancel_on_eof=getattr(options, "cancel_on_eof", False)
    )
    try:
        options.run(options, channel)
    except (Cancelled, KeyboardInterrupt):
        code, message = CANCELLED, "Cancelled; nothing was written."
    except UnusableInput as error:
        code, message = UNUSABLE, str(error)
    except MachineLimit as error:
        code, message = MACHINE, str(error)
    except MemoryError:
        code, message = MACHINE, OUT_OF_MEMORY
    except ModuleNotFoundError as error:
        code, message = MACHINE, f"The package {error.name} is missing; {PACKAGE_REMEDY}."
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        code, message = MACHINE, f"Writing failed ({error.strerror}); free some space or choose another output folder."
    else:
        return 0
    channel.error(code, message)
    return code


def _channel(*, events: bool, cancel_on_eof: bool = False) -> Channel:
    stdout = set_stdout_aside()
    return JsonLinesChannel(stdout, cancel_on_eof=cancel_on_eof) if events else TerminalChannel(stdout)


def _segment(options: argparse.Namespace, channel: Channel) -> None:
    from .io.images import check_output_folder, read_ct

    check_output_folder(options.output)
    channel.progress(Progress("reading", 0, 1))
    ct = read_ct(options.input, series=options.series)
    channel.progress(Progress("reading", 1, 1))
    _, data, text = _segment_ct(ct, options, channel, source=options.input)
    channel.result(data, text)


def _segment_ct(
    ct: CTVolume, options: argparse.Namespace, channel: Channel, *, source: Path | None = None
) -> tuple[LesionReport, dict[str, Any], str]:
    """Segments and writes; the lesions, and what to tell programs and people."""
    from .pipeline import segment
    from .results.writer import write_result

    extras = _extras(options, report=not options.no_picture if options.report is None else options.report)
    choices = {option.name: getattr(options, option.name) for option in OPTIONS}
    result = segment(ct, choices, channel.progress)
    files = {"picture": not options.no_picture, "surfaces": options.surfaces, "source": source}
    summary = write_result(result, options.output, **files, extras=extras, on_progress=channel.progress)
    text = _report_text(result.report, summary["warnings"], options.output)
    return result.report, {"output": str(options.output.resolve()), "summary": summary}, text


def _extras(options: argparse.Namespace, *, report: bool) -> Extras:
    from .results.writer import Extras

    return Extras(report, options.patient, options.margins or ())


def _isolate(options: argparse.Namespace, channel: Channel) -> None:
    from .io.images import check_output_folder, read_ct
    from .isolation import isolate_lungs
    from .results.writer import write_isolation

    check_output_folder(options.output)
    ct = read_ct(options.input, series=options.series)
    isolation = isolate_lungs(ct, channel.progress)
    warnings = (*ct.warnings, *isolation.warnings)
    write_isolation(ct, isolation, options.output, source=options.input)
    text = "\n".join([*(f"Warning: {warning}" for warning in warnings), f"Lung isolation written to {options.output}."])
    channel.result({"output": str(options.output.resolve()), "warnings": warnings}, text)


def _measure(options: argparse.Namespace, channel: Channel) -> None:
    from .io.images import check_output_folder, read_ct
    from .io.seg_nrrd import read_segmentation
    from .lesions import find_lungs, measure, with_known
    from .results.reader import read_summary
    from .results.writer import write_measures

    check_output_folder(options.output)
    extras = _extras(options, report=options.report is not False)
    ct = read_ct(options.input, series=options.series)
    segments = read_segmentation(options.segmentation)
    run = read_summary(options.run_summary) if options.run_summary else {}
    lungs = find_lungs(ct, segments)
    report = with_known(measure(ct, segments, lungs=lungs), run.get("lesions", []))
    summary = write_measures(ct, report, options.output, lungs=lungs.pair, model=run.get("model"), extras=extras)
    text = _report_text(report, summary["warnings"], options.output)
    channel.result({"output": str(options.output.resolve()), "summary": summary}, text)


def _evaluate(options: argparse.Namespace, channel: Channel) -> None:
    from .evaluation import evaluate_files

    metrics = evaluate_files(options.prediction, options.reference, cases=options.cases)
    channel.result(metrics, json.dumps(metrics, indent=2))


def _phantom(options: argparse.Namespace, channel: Channel) -> None:
    from .io.images import check_output_folder
    from .phantom import make_phantom, write_phantom

    check_output_folder(options.output)
    phantom = make_phantom(options.seed)
    write_phantom(phantom, options.output)
    channel.result(
        {"output": str(options.output.resolve())},
        f"Phantom with {len(phantom.lesions)} lesions written to {options.output}.",
    )


def _demo(options: argparse.Namespace, channel: Channel) -> None:
    from .io.images import check_output_folder
    from .phantom import make_phantom, write_phantom

    check_output_folder(options.output)
    phantom = make_phantom(options.seed)
    report, data, text = _segment_ct(phantom.ct, options, channel)
    write_phantom(phantom, options.output / "phantom")
    both = ((report.labels.array > 0) & (phantom.tumor.array > 0)).sum()
    dice = 2 * both / max(1, (report.labels.array > 0).sum() + (phantom.tumor.array > 0).sum())
    text += f"\nThe phantom has {len(phantom.lesions)} lesions; 3D Dice over all of them {dice:.2f}."
    channel.result({**data, "dice": round(float(dice), 4)}, text)


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
        text += f" Held-out cases: mean 3D Dice {metrics['dice_3d']:.2f}, {metrics['lesions_found']} of {metrics['lesions']} lesions found."
    channel.result({"model": str(model.resolve()), "held_out": metrics}, text)


def _report_text(report: LesionReport, warnings: Sequence[str], output: Path) -> str:
    """What a person reads in the terminal: warnings, one line a lesion, where the files are."""
    lines = [f"Warning: {warning}" for warning in warnings]
    lines += [report.message] if report.message else []
    lines += [
        f"{lesion.segment}: {lesion.side} lung, {lesion.volume_ml:.2f} mL, {lesion.long_axis_mm:.0f} x {lesion.short_axis_mm:.0f} mm"
        for lesion in report.lesions
    ]
    return "\n".join([*lines, f"Written to {output}. {NOTICE}"])


class _Parser(argparse.ArgumentParser):
    """Tells wrong arguments like any other unusable input; argparse would end the process without a word to the channel."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise UnusableInput(f"{self.prog}: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lungtumorseg", description=f"Lung tumors in chest CT: found, measured, drawn. {NOTICE}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    segment = commands.add_parser("segment", help="find and measure the lung tumors of a CT")
    _add_input(segment)
    _add_segment_options(segment)
    segment.set_defaults(run=_segment)

    isolate = commands.add_parser("isolate", help="lung isolation only: body, lungs, spine axis, isolation mask")
    _add_input(isolate)
    isolate.set_defaults(run=_isolate)

    measure = commands.add_parser("measure", help="measure the lesions of an existing (corrected) segmentation")
    measure.add_argument("input", metavar="CT", type=Path)
    measure.add_argument("segmentation", metavar="SEGMENTATION", type=Path)
    _add_output(measure)
    _add_report_options(measure, "report.html is written unless --no-report is given")
    measure.add_argument("--series", metavar="UID", help="SeriesInstanceUID, where the folder holds several series")
    measure.add_argument("--run-summary", metavar="JSON", type=Path, help="summary.json of its run: model, confidence")
    measure.set_defaults(run=_measure)

    evaluate = commands.add_parser("evaluate", help="compare a segmentation with a reference; JSON on stdout")
    evaluate.add_argument(
        "prediction", metavar="PREDICTION", type=Path, help="a label map, a .seg.nrrd or a folder of them"
    )
    evaluate.add_argument("reference", metavar="REFERENCE", type=Path)
    evaluate.add_argument("--cases", metavar="TABLE.csv", type=Path, help="also write one line a case")
    evaluate.set_defaults(run=_evaluate)

    phantom = commands.add_parser("phantom", help="make a procedural chest CT and its truth")
    _add_output(phantom)
    phantom.add_argument("--seed", type=int, default=0)
    phantom.set_defaults(run=_phantom)

    demo = commands.add_parser("demo", help="make a phantom and segment it: the main job on a fresh machine")
    _add_segment_options(demo)
    _add_output(demo)
    demo.add_argument("--seed", type=int, default=0)
    demo.set_defaults(run=_demo)

    models = commands.add_parser("models", help="list the shipped and installed models")
    models.set_defaults(run=_models)

    train = commands.add_parser("train", help="train a model as a YAML configuration says")
    train.add_argument("config", metavar="CONFIG", type=Path)
    train.set_defaults(run=_train)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the results")


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="INPUT", type=Path, help="a DICOM folder, NIfTI, NRRD or MetaImage file")
    _add_output(parser)
    parser.add_argument("--series", metavar="UID", help="SeriesInstanceUID, where the folder holds several series")


def _add_report_options(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--report", action=argparse.BooleanOptionalAction, help=default)
    parser.add_argument(
        "--patient", metavar="TEXT", help="a line about the patient for report.html; nothing about the patient else"
    )
    parser.add_argument(
        "--margins", metavar="MM", nargs="+", type=float, help="also write margins.seg.nrrd, for example of 5 8 20 mm"
    )


def _add_segment_options(parser: argparse.ArgumentParser) -> None:
    usual = _usual_values()
    for option in OPTIONS:
        option.add_to(parser, usual[option.name])
    parser.add_argument("--no-picture", action="store_true", help="leave spread.png out")
    _add_report_options(parser, "report.html is written unless --no-picture or --no-report is given")
    parser.add_argument("--surfaces", action="store_true", help="also write each segment's surface (.vtp, LPS mm)")
    parser.add_argument(
        "--events", choices=("jsonl",), help="progress and result as JSON lines on stdout; 'cancel' on stdin cancels"
    )
    parser.add_argument(
        "--cancel-on-eof",
        action="store_true",
        help="with --events, the end of stdin cancels too (for a parent process)",
    )


def _usual_values() -> dict[str, Any]:
    """The values that help names as defaults; a damaged installation must not keep anyone from reading help."""
    from .weights.manifest import shipped_values

    try:
        return shipped_values()
    except MachineLimit:
        return {option.name: option.default or "the model's" for option in OPTIONS}
