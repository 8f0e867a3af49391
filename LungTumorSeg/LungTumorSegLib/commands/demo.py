"""The command ``demo``: check an installation with a synthetic CT."""

from __future__ import annotations

import argparse

from ..core.texts import counted
from ..process.channel import Channel
from .arguments import add_output, add_seed, add_segment_options
from .command import Command
from .segment import check_backend, check_result_output, segment_and_write


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Generate a phantom, segment it, and compare the segmentation with the reference."""
    from ..phantom.options import check_seed
    from ..phantom.truth import PHANTOM, PHANTOM_FILES
    from ..results.folder import check_output
    from ..results.replaceable_files import Output

    check_seed(options.seed)
    check_backend(options)
    check_result_output(options)
    check_output(Output(options.output / "phantom", PHANTOM, overwrite=options.overwrite), PHANTOM_FILES)
    # Slow packages are imported after the checks.
    from ..evaluation.overlap import dice
    from ..phantom import make_phantom, write_phantom

    phantom = make_phantom(options.seed, on_progress=channel.progress)
    report, data, text = segment_and_write(phantom.ct, options, channel)
    write_phantom(phantom, options.output / "phantom", overwrite=options.overwrite)
    overlap = dice(report.labels.array > 0, phantom.tumor.array > 0)
    lesions = counted(len(phantom.lesions), "lesion")
    text += f"\nThe phantom has {lesions}. 3D Dice of the segmentation: {overlap:.2f}."
    channel.result({**data, "dice": round(overlap, 4)}, text)


COMMAND = Command(
    "demo",
    run,
    "generate a synthetic CT and segment it, to check an installation",
    ("-o demo",),
    (
        add_segment_options,
        add_output,
        add_seed,
    ),
)
