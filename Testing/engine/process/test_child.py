"""The child process: events, cancelling, and that nothing is left running. Small scripts play the child."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest
from LungTumorSegLib.process import child as child_module
from LungTumorSegLib.process.child import ChildProcess, child_environment, find_interpreter

PATIENCE_SECONDS = (
    60.0  # a loaded machine starts an interpreter in a second or two; nothing here takes as long by itself
)


def start(script: str, *arguments: str) -> ChildProcess:
    return ChildProcess([sys.executable, "-c", textwrap.dedent(script), *arguments])


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return value


def wait_for_end(child: ChildProcess) -> int:
    wait_until(lambda: child.exit_code is not None)
    return child.exit_code


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture
def short_grace(monkeypatch):
    monkeypatch.setattr(child_module, "GRACE_SECONDS", 0.3)


def test_json_lines_become_events_and_other_lines_are_skipped():
    child = start("""
        print("a library's chatter")
        print('{"event": "progress", "stage": "one", "done": 1, "total": 2}')
        print('{"no": "event"}')
        print('[1, 2]')
        print('{"event": "result", "folder": "\\u00e9"}')
    """)
    assert wait_for_end(child) == 0
    assert child.events() == [
        {"event": "progress", "stage": "one", "done": 1, "total": 2},
        {"event": "result", "folder": "é"},
    ]
    assert child.events() == [], "each event comes once"


def test_exit_code_and_the_last_stderr_lines_are_kept():
    child = start("""
        import sys
        print("\\n".join(f"line {i}" for i in range(1000)), file=sys.stderr)
        print("There is no space left.\\n", file=sys.stderr)
        sys.exit(3)
    """)
    assert wait_for_end(child) == 3
    assert child.stderr_lines[-1] == "There is no space left."
    assert len(child.stderr_lines) == child_module.STDERR_LINES


def test_output_larger_than_a_pipe_does_not_stall_the_child():
    child = start("""
        import sys
        print("x" * 1_000_000)
        print("y" * 1_000_000, file=sys.stderr)
        print('{"event": "result"}')
    """)
    assert wait_for_end(child) == 0
    assert child.events() == [{"event": "result"}]


def test_asking_never_blocks_while_the_child_is_busy():
    child = start("import time; time.sleep(600)")
    began = time.monotonic()
    assert child.exit_code is None
    assert child.events() == []
    assert time.monotonic() - began < PATIENCE_SECONDS  # both are look-ups; a blocking read would take 600 s
    child.kill()


def test_cancel_reaches_the_child_as_a_line_on_stdin():
    child = start("""
        import sys
        print('{"event": "progress"}', flush=True)
        sys.exit(130 if sys.stdin.readline() == "cancel\\n" else 1)
    """)
    wait_until(child.events)
    child.cancel()
    child.cancel()  # a second click changes nothing
    assert wait_for_end(child) == 130


def test_a_child_that_ignores_cancel_is_killed_after_the_grace_time(short_grace):
    child = start('import time\nprint(\'{"event": "up"}\', flush=True)\ntime.sleep(600)')
    wait_until(child.events)
    began = time.monotonic()
    child.cancel()
    assert wait_for_end(child) < 0
    assert time.monotonic() - began >= 0.3


def test_cancel_after_the_end_is_harmless():
    child = start("pass")
    assert wait_for_end(child) == 0
    child.cancel()
    assert child.exit_code == 0


GRANDPARENT = """
    import subprocess, sys, time
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print('{"event": "grandchild", "pid": %d}' % grandchild.pid, flush=True)
    if sys.argv[1] == "stay":
        time.sleep(600)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks processes up in /proc")
@pytest.mark.parametrize("ending", ["kill", "cancel", "natural"])
def test_nothing_that_the_child_started_outlives_it(ending, short_grace):
    child = start(GRANDPARENT, "leave" if ending == "natural" else "stay")
    (event,) = wait_until(child.events)
    if ending != "natural":
        assert is_running(event["pid"])
        getattr(child, ending)()
    wait_for_end(child)
    wait_until(lambda: not is_running(event["pid"]))
    assert not is_running(child.pid)


def test_a_child_killed_by_the_system_has_a_negative_exit_code():
    child = start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert wait_for_end(child) == -9


def test_the_environment_is_passed_on():
    child = ChildProcess([sys.executable, "-c", "import os; exit(int(os.environ['A']))"], {**os.environ, "A": "7"})
    assert wait_for_end(child) == 7


def test_a_missing_program_raises():
    with pytest.raises(OSError, match="no-such-program"):
        ChildProcess(["/no-such-program"])


def test_the_interpreter_is_pythonslicer_from_the_path(tmp_path, monkeypatch):
    program = tmp_path / "PythonSlicer"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_interpreter() == str(program)


def test_the_package_comes_first_on_the_childs_path_and_the_rest_stays():
    import LungTumorSegLib

    package_parent = str(Path(LungTumorSegLib.__file__).parents[1])
    assert child_environment({"PYTHONPATH": "/other", "A": "b"}) == {"PYTHONPATH": f"{package_parent}:/other", "A": "b"}
    assert child_environment({}) == {"PYTHONPATH": package_parent}
