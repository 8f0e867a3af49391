"""Events in, events out, over the real file descriptors of a child process."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.process.channel import JsonLinesChannel, TerminalChannel

CHILD = """
import os, sys, time
from LungTumorSegLib.process.channel import JsonLinesChannel, set_stdout_aside
from LungTumorSegLib.core.events import Cancelled, Progress
channel = JsonLinesChannel(set_stdout_aside(), cancel_on_eof="eof" in sys.argv)
os.write(1, b"a C++ library prints here\\n")
try:
    channel.progress(Progress("predicting", 1, 3))
    for _ in range(200 if "wait" in sys.argv else 0):
        time.sleep(0.05)
        channel.progress(Progress("predicting", 2, 3))
except Cancelled:
    channel.error(130, "Cancelled")
    sys.exit(130)
channel.result({"answer": 42}, "text for people")
"""

UNHEARD = """
import os, sys
read_end, write_end = os.pipe()
os.dup2(write_end, 1)
os.close(read_end)
os.close(write_end)
from LungTumorSegLib.process.channel import JsonLinesChannel, set_stdout_aside
JsonLinesChannel(set_stdout_aside()).error(3, "the message")
sys.exit(3)
"""


def start(*arguments):
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_stdout_holds_json_lines_alone_and_stray_prints_go_to_stderr():
    with start() as child:  # its stdin stays open until it has ended: else it might be cancelled first
        out, err = child.stdout.read(), child.stderr.read()
    events = [json.loads(line) for line in out.splitlines()]
    assert events == [
        {"event": "progress", "stage": "predicting", "done": 1, "total": 3},
        {"event": "result", "answer": 42},
    ]
    assert "a C++ library prints here" in err


@pytest.mark.parametrize("word", ["cancel\n", "  cancel  \n", "noise\ncancel\n", ""])
def test_the_word_cancel_or_where_asked_for_the_end_of_stdin_cancels(word):
    child = start("wait", *(() if word else ("eof",)))
    child.stdout.readline()
    out, _ = child.communicate(
        input=word, timeout=120
    )  # communicate closes stdin; a child that ignored both would run 10 s and return 0
    assert child.returncode == 130
    assert json.loads(out.splitlines()[-1]) == {"event": "error", "code": 130, "message": "Cancelled"}


def test_every_line_of_stdin_is_a_request_so_that_none_stays_without_an_answer(monkeypatch):
    out, into = os.pipe()
    os.write(into, b'{"id": 1}\n\nplace: 1 2 3\n[1, 2]\n' + b"[" * 10_000 + b'\nM\xfcller\n{"id": 2}\n')
    os.close(into)
    monkeypatch.setattr(os, "read", lambda descriptor, size, read=os.read: read(out, size))
    channel = JsonLinesChannel(io.StringIO())
    found = [channel.requests.get(timeout=60) for _ in range(7)]
    assert found == [{"id": 1}, {}, {}, {}, {}, {"id": 2}, None]
    os.close(out)


def test_another_word_does_not_cancel():
    child = start("wait")
    child.stdout.readline()
    child.stdin.write("cancelled?\n")
    child.stdin.flush()
    lines = [child.stdout.readline() for _ in range(5)]
    assert all(json.loads(line)["event"] == "progress" for line in lines)
    child.kill()
    child.communicate()


@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, None])
def test_the_end_of_stdin_or_none_at_all_cancels_nothing_by_itself(stdin):
    close = "import os; os.close(0)\n" if stdin is None else ""
    done = subprocess.run(
        [sys.executable, "-c", close + CHILD], stdin=stdin, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"event": "result", "answer": 42}


def test_a_missing_stdin_cancels_without_a_traceback_where_its_end_does():
    close = "import os; os.close(0)\n"
    child = subprocess.run(
        [sys.executable, "-c", close + CHILD, "wait", "eof"], capture_output=True, text=True, timeout=120
    )
    assert child.returncode == 130
    assert "Traceback" not in child.stderr


def test_where_nobody_listens_the_message_still_reaches_stderr():
    child = subprocess.run([sys.executable, "-c", UNHEARD], stderr=subprocess.PIPE, text=True, timeout=120)
    assert child.returncode == 3, child.stderr
    assert child.stderr.splitlines()[-1] == "the message"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("channel", [TerminalChannel, JsonLinesChannel])
def test_a_full_disk_behind_stdout_is_not_blamed_on_the_output_folder(channel):
    with open("/dev/full", "w", buffering=1) as full, pytest.raises(MachineLimit) as refused:
        channel(full).result({"answer": 42}, "text")
    assert str(refused.value).startswith("Standard output could not be written (No space left on device); free some")
