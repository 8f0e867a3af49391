"""The command ``phantom``: generate a synthetic CT."""

from __future__ import annotations

import argparse

from ..core.events import Progress
from ..core.texts import shown_last
from ..process.channel import Channel
from .arguments import add_output, add_seed
from .command import Command


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Generate a phantom, or the same phantom on two days."""
    from ..phantom.options import check_seed
    from ..phantom.truth import FOLLOW_UP_FILES, LOBES_FILE, PHANTOM, PHANTOM_FILES
    from ..results.folder import check_output
    from ..results.replaceable_files import Output

    check_seed(options.seed)
    files = FOLLOW_UP_FILES if options.followup else (*PHANTOM_FILES, *([LOBES_FILE] if options.lobes else []))
    check_output(Output(options.output, PHANTOM, overwrite=options.overwrite), files)
    # Slow packages are imported after the checks.
    from ..phantom import PhantomOptions, make_follow_up, make_phantom, write_follow_up_phantom, write_phantom

    if options.followup:
        pair = make_follow_up(options.seed, on_progress=channel.progress)
        channel.progress(Progress("writing", 0, 1))
        write_follow_up_phantom(pair, options.output, overwrite=options.overwrite)
        made = f"Phantom on two days ({pair.days} days apart) with {len(pair.lesions)} tracked lesions"
    else:
        phantom = make_phantom(options.seed, PhantomOptions(lobes=options.lobes), channel.progress)
        channel.progress(Progress("writing", 0, 1))
        write_phantom(phantom, options.output, overwrite=options.overwrite)
        made = f"Phantom with {len(phantom.lesions)} lesions"
    channel.result({"output": str(options.output.resolve())}, f"{made} written to {shown_last(options.output)}.")


def _add_truth(phantom: argparse.ArgumentParser) -> None:
    truth = phantom.add_mutually_exclusive_group()
    truth.add_argument(
        "--followup",
        action="store_true",
        help="also generate the same patient on another day, with lesions that have grown, shrunk, split, appeared or "
        "disappeared, and the truth about them",
    )
    truth.add_argument(
        "--lobes",
        action="store_true",
        help="give the lungs the fissures of an adult, which may be incomplete or accessory, and write the lobes too "
        "(1 left upper, 2 left lower, 3 right upper, 4 right middle, 5 right lower)",
    )


COMMAND = Command(
    "phantom",
    run,
    "generate a synthetic chest CT and its reference masks",
    ("-o phantom --seed 7", "-o two-days --followup", "-o lobes --lobes"),
    (
        add_output,
        add_seed,
        _add_truth,
    ),
)
