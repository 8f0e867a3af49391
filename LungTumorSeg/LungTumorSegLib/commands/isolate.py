"""The command ``isolate``: isolate the lungs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..core.events import Progress
from ..core.texts import shown_last
from ..process.channel import Channel
from .arguments import add_case, add_input, add_series
from .command import Command
from .terminal_text import warning_lines

if TYPE_CHECKING:
    from ..core.volume import CTVolume


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Check the output, read the CT and isolate its lungs."""
    from ..io.images import read_ct
    from ..results.contents import ISOLATION, isolation_files
    from ..results.folder import check_output
    from ..results.replaceable_files import Output, may_be_resampled

    output = Output(options.output, ISOLATION, (options.input,), options.overwrite)
    check_output(output, isolation_files(resampled=may_be_resampled(options.input)))
    channel.progress(Progress("reading", 0, 1))
    _isolate_ct(read_ct(options.input, series=options.series, phase=options.phase), options, channel)


def _isolate_ct(ct: CTVolume, options: argparse.Namespace, channel: Channel) -> None:
    """Isolate the lungs of a CT, write them and report the result."""
    from ..isolation import isolate_lungs
    from ..results.contents import BYTES_PER_ISOLATED_VOXEL
    from ..results.isolation_writer import write_isolation
    from ..results.writable import check_room

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
        on_progress=channel.progress,
    )
    text = "\n".join([*warning_lines(warnings), f"Lung isolation written to {shown_last(options.output)}."])
    channel.result({"output": str(options.output.resolve()), "warnings": warnings}, text)


def _add_case(isolate: argparse.ArgumentParser) -> None:
    add_case(isolate, "isolation.json")


COMMAND = Command(
    "isolate",
    run,
    "find body, lungs and spine axis and write the isolation mask, without looking for lesions",
    ("ct.nii.gz -o lungs",),
    (add_input, add_series, _add_case),
)
