"""A command whose streams are closed or whose end is asked for by a signal, as real processes have it."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from LungTumorSegLib.commands import models, parser
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.process import streams
from LungTumorSegLib.process.streams import ended_by_signals, ended_soon

COMMAND = [sys.executable, "-m", "LungTumorSegLib"]
WAITING = """
import sys, time
from pathlib import Path
from dataclasses import replace
from LungTumorSegLib import cli
from LungTumorSegLib.commands import models, parser
from LungTumorSegLib.core.private_folder import private_folder

def wait(options, channel):
    with private_folder(Path(sys.argv[1]), "run-") as folder:
        (folder / "half").write_text("a result")
        print("ready", file=sys.stderr, flush=True)
        time.sleep(60)

parser.COMMANDS = (replace(models.COMMAND, run=wait),)
sys.exit(cli.main(["models"]))
"""
NOT_IGNORED = """
import signal
for each in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
"""Whoever runs the tests, nohup for example, may have had signals ignored."""

SENTENCE = "Cancelled. No incomplete results were written."


def shell(line: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, **options)


def quoted_command(*arguments: str) -> str:
    return " ".join(f"'{part}'" for part in (*COMMAND, *arguments))


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "| true", "2>&1 | true", "| head -c 1"])
def test_streams_that_nobody_reads_do_not_fail_a_finished_command(redirection, tmp_path):
    done = shell(f"set -o pipefail; {quoted_command('models')} {redirection}")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("redirection", [">&-", "2>&- >&-", "2>&1 | true"])
def test_an_error_keeps_its_exit_code_where_nobody_reads_it(redirection, tmp_path):
    done = shell(
        f"set -o pipefail; {quoted_command('isolate', 'none.nii.gz', '-o', str(tmp_path / 'out'))} {redirection}"
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_closed_stdout_is_not_taken_by_a_file_of_the_result(tmp_path):
    mask, table = tmp_path / "mask.nrrd", tmp_path / "cases.csv"
    write_volume(Volume(np.ones((2, 3, 4), np.uint8), np.eye(4)), mask)
    done = shell(f"{quoted_command('evaluate', str(mask), str(mask), '--cases', str(table))} >&- 2>&- <&-")
    assert done.returncode == 0
    assert [line.split(",")[0] for line in table.read_text().splitlines()] == ["case", "mask"]


def start_waiting(folder) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", NOT_IGNORED + WAITING, str(folder)], stderr=subprocess.PIPE, text=True
    )
    assert child.stderr.readline() == "ready\n"
    return child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_cancels_with_one_sentence_and_leaves_nothing(tmp_path, number):
    child = start_waiting(tmp_path)
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert err.splitlines() == [SENTENCE]
    assert list(tmp_path.iterdir()) == []


class _Interrupted(ModuleType):
    """A module that is interrupted by Ctrl-C while it is loaded."""

    def __getattr__(self, name):
        raise KeyboardInterrupt


def test_ctrl_c_before_the_program_is_loaded_cancels_with_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "LungTumorSegLib.cli", _Interrupted("LungTumorSegLib.cli"))
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("LungTumorSegLib.__main__").run()
    assert ended.value.code == 130
    assert capsys.readouterr().err.splitlines() == [SENTENCE]


def test_signals_that_come_again_and_again_do_not_disturb_the_tidying_up(tmp_path):
    with start_waiting(tmp_path) as child:
        while child.poll() is None:
            os.kill(child.pid, signal.SIGTERM)
            time.sleep(0.001)
    assert list(tmp_path.iterdir()) == []


BUSY = """
import hashlib, sys
from dataclasses import replace
from LungTumorSegLib import cli
from LungTumorSegLib.commands import models, parser
from LungTumorSegLib.process import streams

def compute(options, channel):
    print("ready", file=sys.stderr, flush=True)
    hashlib.pbkdf2_hmac("sha512", b"", b"", 2_000_000_000)  # an hour of compiled code

streams.GRACE_SECONDS = 0.1
parser.COMMANDS = (replace(models.COMMAND, run=compute, resumes=True),)
sys.exit(cli.main(["models"]))
"""


def test_a_resumable_command_ends_soon_even_if_compiled_code_does_not_heed_signals():
    with subprocess.Popen([sys.executable, "-c", NOT_IGNORED + BUSY], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr.readline() == "ready\n"
        child.terminate()
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err.splitlines()) == (130, [SENTENCE])


def test_a_block_that_ends_in_time_is_not_ended(monkeypatch):
    monkeypatch.setattr(streams, "GRACE_SECONDS", 60.0)
    ends, before = [], signal.set_wakeup_fd(-1)
    with ended_by_signals(lambda: None), ended_soon(lambda: ends.append(True)), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    assert (ends, signal.set_wakeup_fd(before)) == ([], -1)


def test_a_hangup_that_the_parent_ignores_stays_ignored(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", WAITING.replace("60", "0.5"), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    ) as child:
        assert child.stderr.readline() == "ready\n"
        child.send_signal(signal.SIGHUP)
        assert child.wait(60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit.")
@pytest.mark.parametrize("kilobytes", [400_000, 900_000])
@pytest.mark.parametrize("arguments", [("models",), ("segment", "ct.nii.gz", "-o", "out")])
def test_too_little_memory_is_reported_as_such(kilobytes, arguments, tmp_path):
    done = shell(f"ulimit -v {kilobytes}; {quoted_command(*arguments)}", cwd=tmp_path)
    assert done.returncode == 3
    (sentence,) = done.stderr.splitlines()
    assert "memory" in sentence
    assert "ulimit" in sentence


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        (MemoryError(), 3, "not enough memory"),
        (ImportError("libtorch.so: failed to map segment from shared object"), 3, "not enough memory"),
        (RuntimeError("std::bad_alloc"), 3, "not enough memory"),
        (ModuleNotFoundError("No module", name="torch._C"), 3, "because memory ran out or the package is damaged"),
        (ModuleNotFoundError("No module", name="nonsense.part"), 3, "The package nonsense is missing"),
        (OSError(28, "No space left on device"), 3, "No space left on device"),
        (OSError(27, "File too large", "out.nrrd"), 3, "out.nrrd could not be written (File too large)"),
        (OSError(13, "Permission denied", "mask.nrrd"), 2, "mask.nrrd cannot be read (Permission denied)"),
        (OSError(2, "No such file or directory", "gone.dcm"), 2, "gone.dcm cannot be read (No such file"),
        (OSError(13, "Permission denied"), 1, "LungTumorSeg failed (PermissionError"),
        (KeyError("\x1b[31mbug"), 1, r"LungTumorSeg failed (KeyError: '\x1b[31mbug')"),
    ],
)
def test_every_failure_ends_in_one_sentence_and_its_code(failure, code, words, run_here, monkeypatch):
    def fail(options, channel):
        raise failure

    monkeypatch.setattr(parser, "COMMANDS", (replace(models.COMMAND, run=fail),))
    returned, errors = run_here("models")
    assert returned == code
    assert words in errors[-1]
    assert any("Traceback" in line for line in errors) == (code == 1)
    assert not any("\x1b" in line for line in errors)


def test_warnings_of_libraries_are_shown_once_and_not_at_all_by_quiet_commands():
    script = """
import logging, sys
from dataclasses import replace
from LungTumorSegLib import cli
from LungTumorSegLib.commands import models, parser
def warn(options, channel):
    logger = logging.getLogger("library")
    logger.setLevel(logging.WARNING)
    for _ in range(3):
        logger.warning("a header is odd")
    channel.result({}, "done")
parser.COMMANDS = (replace(models.COMMAND, run=warn),)
sys.exit(cli.main(["models", *sys.argv[1:]]))
"""
    quiet, usual = (
        subprocess.run([sys.executable, "-c", script, *options], capture_output=True, text=True, timeout=120)
        for options in (["--quiet"], [])
    )
    assert (quiet.stderr, usual.stderr) == ("", "library: a header is odd\n")


def test_a_signal_does_not_interrupt_the_import_of_a_module(tmp_path, monkeypatch):
    (tmp_path / "signals_itself.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nDONE = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    canceled = []
    with ended_by_signals(lambda: canceled.append(True)):
        assert importlib.import_module("signals_itself").DONE
    assert canceled == [True]
