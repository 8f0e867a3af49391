"""The command ``lungtumorseg``: parse the arguments, run the command, turn its failure into an exit code.

Exit codes: 0 success, 2 unusable input or arguments, 3 a limit of the machine, 130 cancelled; any other code is a bug.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn

from .commands.parser import build_parser
from .core.errors import CANCELLED, MACHINE, UNUSABLE, ChoiceMissing, MachineLimit, UnusableInput
from .core.events import Cancelled
from .core.machine import check_memory_limit, is_out_of_memory, missing_package, use_threads, yield_while_waiting
from .core.messages import CANCELLED_COMMAND, OUT_OF_MEMORY, unreadable, unwritable
from .core.texts import printable
from .process.channel import Channel, JsonLinesChannel, TerminalChannel, set_stdout_aside
from .process.progress import COMMAND_SHARES
from .process.streams import ended_by_signals, ended_soon, log_safely, open_standard_streams, say, settle_streams
from .process.terminal import ProgressDisplay

BUG = 1
"""Exit code of an unexpected failure."""

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
        options = build_parser().parse_args(given)
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


def run() -> NoReturn:
    """Run one command as a program, and end the process with its exit code.

    Everything is written by then, but Python takes about a second to take down torch, and on a busy machine much
    longer, so a process that has loaded it ends at once. A training that has come to its end does so in the usual way,
    because its child processes and logs have to be closed. Those of a cancelled one end with it.
    """
    code = main()
    if "torch" in sys.modules and (code or f"{__package__}.training" not in sys.modules):
        os._exit(code)
    sys.exit(code)


def _run(options: argparse.Namespace, channel: Channel) -> tuple[int, str]:
    """Run the command; return its exit code, and one sentence unless the code is 0."""
    try:
        with ended_by_signals(channel.cancel), _ended_soon_if_resumable(options, channel):
            if options.threads:
                use_threads(options.threads)
            yield_while_waiting()
            check_memory_limit()
            options.run(options, channel)
    except Exception as error:
        known = _known_failure(error, options)
        if options.verbose or known is None:
            say(sys.stderr, printable(traceback.format_exc(), keep="\n"))
        return known or (
            BUG,
            f"LungTumorSeg failed ({type(error).__name__}: {error}). This is a programming error; please report it "
            "with the lines above.",
        )
    except KeyboardInterrupt:
        return CANCELLED, CANCELLED_COMMAND
    return 0, ""


def _ended_soon_if_resumable(options: argparse.Namespace, channel: Channel) -> AbstractContextManager[None]:
    """Return a context that ends the process soon after a signal, if the command continues what was interrupted."""

    def end() -> None:
        channel.error(CANCELLED, CANCELLED_COMMAND)
        os._exit(CANCELLED)

    return ended_soon(end) if options.resumes else nullcontext()


def _known_failure(error: Exception, options: argparse.Namespace) -> tuple[int, str] | None:
    """Return the exit code and the message for a failure that the user can act on; None for a bug."""
    if is_out_of_memory(error):
        return MACHINE, OUT_OF_MEMORY
    if isinstance(error, Cancelled):
        return CANCELLED, str(error) or CANCELLED_COMMAND
    if isinstance(error, ChoiceMissing) and not hasattr(options, error.option):
        return UNUSABLE, error.without_option
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
