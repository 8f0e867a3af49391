"""A run as the module sees it: events, every ending, and that no folder and no process is left.

Small scripts play the command line for the job; a played job gives the run what a real one would.
"""

from __future__ import annotations

import errno
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.core.events import Cancelled, Progress
from LungTumorSegLib.core.private_folder import OWNER_FILE, OWNER_NOTE
from LungTumorSegLib.process import child
from LungTumorSegLib.process.exported_ct import INPUT_FILE
from LungTumorSegLib.process.outcome import Outcome
from LungTumorSegLib.process.segmentation_run import SegmentationJob, SegmentationRun
from LungTumorSegLib.results.reader import RunFiles

PATIENCE_SECONDS = (
    60.0  # a loaded machine starts an interpreter in a second or two; nothing here takes as long by itself
)

GOOD_RUN = """
    import json, pathlib, sys
    arguments = sys.argv[1:]
    folder = pathlib.Path(arguments[arguments.index("-o") + 1])
    folder.mkdir()
    seen = [arguments, pathlib.Path(arguments[3]).read_text()]
    (folder / "summary.json").write_text(json.dumps({"lesions": [], "seen": seen}))
    header = "NRRD0004\\ntype: uint8\\ndimension: 3\\nspace: left-posterior-superior\\nsizes: 1 1 1\\n"
    header += "space directions: (1,0,0) (0,1,0) (0,0,1)\\nspace origin: (0,0,0)\\nencoding: raw\\n\\n\\0"
    (folder / "segmentation.seg.nrrd").write_text(header)
    print('{"event": "progress", "stage": "predicting", "done": 1, "total": 4}')
    print('{"event": "progress", "stage": "predicting", "done": 4, "total": 4}')
    print('{"event": "result", "output": "somewhere"}')
"""
SLOW_RUN = """
    import sys
    print('{"event": "progress", "stage": "predicting", "done": 0, "total": 4}', flush=True)
    sys.exit(130 if sys.stdin.readline().strip() in ("cancel", "") else 1)
"""


def write_text(path: Path, stop: threading.Event) -> None:
    path.write_text("voxels")


@pytest.fixture
def start(tmp_path):
    """Starts a job whose interpreter runs a given script instead of the command line; nothing may be left when the
    test ends."""
    jobs = []
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def start_job(script: str, arguments=(), write_input=write_text) -> SegmentationJob:
        (tmp_path / "script.py").write_text(textwrap.dedent(script))
        interpreter = tmp_path / "PythonSlicer"
        interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "script.py"}" "$@"\n')
        interpreter.chmod(0o755)
        jobs.append(
            SegmentationJob(write_input, arguments, interpreter=str(interpreter), temporary_folder=str(temporary))
        )
        return jobs[-1]

    yield start_job
    for job in jobs:
        job.close()
    assert list(temporary.iterdir()) == [], "a folder was left behind"


def run_to_end(job: SegmentationJob) -> tuple[list[Progress], Outcome]:
    steps = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        steps += job.poll()
        outcome = job.outcome()
        if outcome is not None:
            return steps, outcome
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def wait_for_progress(job: SegmentationJob) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not job.poll():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_good_run_gives_progress_and_a_results_folder(start):
    job = start(GOOD_RUN, ["--stride", "2"])
    steps, outcome = run_to_end(job)
    assert steps == [Progress("predicting", 1, 4), Progress("predicting", 4, 4)]
    assert outcome.code == 0
    assert outcome.results.segmentation == job.folder / "results" / "segmentation.seg.nrrd"
    assert outcome.results.probability is None, "a large map is read only where it is wanted"


def test_the_child_is_the_segment_command_on_the_exported_volume(start):
    job = start(GOOD_RUN, ["--stride", "2"])
    _, outcome = run_to_end(job)
    arguments, content = outcome.results.summary["seen"]
    fixed = ["-m", "LungTumorSegLib", "segment", str(job.folder / INPUT_FILE), "-o", str(job.folder / "results")]
    assert arguments == [*fixed, "--no-picture", "--surfaces", "--events", "jsonl", "--cancel-on-eof", "--stride", "2"]
    assert content == "voxels"


def test_the_folder_is_private_and_goes_with_close(start):
    job = start(GOOD_RUN)
    run_to_end(job)
    assert job.folder.stat().st_mode & 0o077 == 0
    job.close()
    assert not job.folder.exists()
    job.close()  # a second time is harmless


def test_cancel_ends_the_child_and_says_so(start):
    job = start(SLOW_RUN)
    wait_for_progress(job)
    job.cancel()
    assert run_to_end(job)[1] == Outcome(130, "Cancelled.")


def test_cancel_during_the_export_starts_no_child(start):
    def slow_export(path: Path, stop: threading.Event) -> None:
        path.write_text("half")
        assert stop.wait(PATIENCE_SECONDS)
        raise Cancelled

    job = start(GOOD_RUN, write_input=slow_export)
    assert job.outcome() is None
    job.cancel()
    assert run_to_end(job) == ([], Outcome(130, "Cancelled."))


def test_cancel_at_any_moment_is_heeded(start):
    for delay in (0, 0.001, 0.01, 0.05):
        job = start(SLOW_RUN)
        time.sleep(delay)
        job.cancel()
        assert run_to_end(job)[1].code == 130


def test_close_in_the_middle_ends_everything_without_grace(start, monkeypatch):
    monkeypatch.setattr(child, "GRACE_SECONDS", 600)
    job = start(
        'import time\nprint(\'{"event": "progress", "stage": "a", "done": 0, "total": 1}\', flush=True)\n'
        "time.sleep(600)"
    )
    wait_for_progress(job)
    began = time.monotonic()
    job.close()
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert not job.folder.exists()


def test_an_error_event_is_the_outcome(start):
    _, outcome = run_to_end(
        start("""
        import sys
        print('{"event": "error", "code": 3, "message": "The weights are damaged."}')
        sys.exit(3)
    """)
    )
    assert outcome == Outcome(3, "The weights are damaged.")


def test_messages_speak_of_the_ct_and_not_of_a_private_file(start):
    _, outcome = run_to_end(
        start("""
        import json, sys
        print(json.dumps({"event": "error", "code": 2, "message": f"Less than 150 mL of lung in {sys.argv[4]}."}))
        sys.exit(2)
    """)
    )
    assert outcome == Outcome(2, "Less than 150 mL of lung in the CT.")


def test_without_an_error_event_the_last_stderr_line_is_the_message(start):
    _, outcome = run_to_end(start("import sys\nprint('x\\nNot a CT.', file=sys.stderr)\nsys.exit(2)"))
    assert outcome == Outcome(2, "Not a CT.")


def test_a_child_killed_for_memory_is_reported_as_that(start):
    _, outcome = run_to_end(start("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    assert outcome.code == 3
    assert "memory ran out" in outcome.message


def test_a_crash_names_the_last_line_and_points_to_the_log(start, caplog):
    _, outcome = run_to_end(start("raise KeyError('bug')"))
    assert outcome.code == 1
    assert "KeyError: 'bug'" in outcome.message
    assert "Traceback" in caplog.text


def test_an_end_without_a_result_is_no_success(start):
    _, outcome = run_to_end(start("pass"))
    assert outcome.code == 1


def test_a_success_without_files_is_none(start):
    _, outcome = run_to_end(start('print(\'{"event": "result"}\')'))
    assert outcome.code == 3
    assert "results of the run are damaged" in outcome.message


def test_a_full_disk_during_the_export_is_a_machine_limit(start):
    def full_disk(path: Path, stop: threading.Event) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    _, outcome = run_to_end(start(GOOD_RUN, write_input=full_disk))
    assert outcome.code == 3
    assert "No space left on device" in outcome.message


def test_a_volume_that_cannot_be_exported_says_why(start, caplog):
    def refuse(path: Path, stop: threading.Event) -> None:
        raise ValueError("no voxels")

    _, outcome = run_to_end(start(GOOD_RUN, write_input=refuse))
    assert outcome == Outcome(1, "The run failed: no voxels")
    assert "Traceback" in caplog.text


def test_an_interpreter_that_cannot_be_run_is_reported(tmp_path):
    job = SegmentationJob(write_text, interpreter=str(tmp_path / "missing"), temporary_folder=str(tmp_path))
    _, outcome = run_to_end(job)
    job.close()
    assert outcome.code == 3
    assert "missing" in outcome.message
    assert list(tmp_path.iterdir()) == []


def test_the_next_job_deletes_what_a_crashed_slicer_left(start, tmp_path):
    left = tmp_path / "temporary" / "LungTumorSeg-crashed"
    left.mkdir()
    (left / INPUT_FILE).write_text("a patient's image")
    (left / OWNER_FILE).write_bytes(OWNER_NOTE)
    start(GOOD_RUN)
    assert not left.exists()


def test_no_interpreter_no_job_and_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="PythonSlicer was not found"):
        SegmentationJob(write_text, temporary_folder=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


# What becomes of a job

FILES = RunFiles(Path("results"), {"lesions": []})


class PlayedJob:
    def __init__(self, outcome: Outcome | None = None, steps: tuple[Progress, ...] = ()) -> None:
        self.result, self.steps = outcome, list(steps)
        self.cancelled = self.closed = 0

    def poll(self) -> list[Progress]:
        steps, self.steps = self.steps, []
        return steps

    def outcome(self) -> Outcome | None:
        return Outcome(130, "Cancelled.") if self.cancelled else self.result

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        self.closed += 1


def make_run(job, load=lambda files: "loaded", is_wanted=lambda: True, **callbacks) -> SegmentationRun:
    return SegmentationRun(job, load, is_wanted, **callbacks)


def test_a_good_end_loads_the_files_closes_the_job_and_tells():
    job, seen, told = PlayedJob(Outcome(0, results=FILES)), [], []
    run = make_run(job, load=lambda files: seen.append(files) or "node", on_finished=told.append)
    run.poll()
    assert (seen, run.result, run.error, run.finished) == ([FILES], "node", None, True)
    assert told == [run]
    assert job.closed == 1
    run.poll()
    assert job.closed == 1, "the end comes once"


def test_the_folder_is_there_while_the_result_is_loaded():
    job = PlayedJob(Outcome(0, results=FILES))
    run = make_run(job, load=lambda files: job.closed)
    run.poll()
    assert run.result == 0


def test_progress_is_passed_on():
    percents = []
    job = PlayedJob(steps=(Progress("reading", 1, 1), Progress("predicting", 1, 2)))
    run = make_run(job, on_progress=lambda progress: percents.append((progress.stage, progress.percent)))
    run.poll()
    assert [stage for stage, _ in percents] == ["reading", "predicting"]
    assert percents[0][1] < percents[1][1]
    assert not run.finished


@pytest.mark.parametrize(("code", "kind"), [(2, UnusableInput), (3, MachineLimit), (1, MachineLimit), (130, Cancelled)])
def test_an_end_without_a_result_is_an_error_of_its_kind(code, kind):
    job = PlayedJob(Outcome(code, "One sentence."))
    run = make_run(job)
    run.poll()
    assert type(run.error) is kind
    assert str(run.error) == "One sentence."
    assert job.closed == 1


def test_a_result_that_cannot_be_loaded_is_an_error_and_the_job_is_closed():
    def fail(files):
        raise MachineLimit("It is damaged.")

    job = PlayedJob(Outcome(0, results=FILES))
    run = make_run(job, load=fail)
    run.poll()
    assert str(run.error) == "It is damaged."
    assert job.closed == 1


def test_a_bug_while_loading_still_ends_the_run_and_tells(caplog):
    def fail(files):
        raise KeyError("bug")

    job, told = PlayedJob(Outcome(0, results=FILES)), []
    run = make_run(job, load=fail, on_finished=told.append)
    run.poll()
    assert "could not be loaded into the scene" in str(run.error)
    assert "KeyError" in caplog.text
    assert (told, job.closed) == ([run], 1)


def test_a_run_that_nobody_wants_any_more_cancels_itself():
    job = PlayedJob()
    run = make_run(job, is_wanted=lambda: False)
    run.poll()
    assert job.cancelled == 1
    assert isinstance(run.error, Cancelled)


def test_a_result_that_comes_too_late_is_not_loaded():
    answers = iter([True, False])
    run = make_run(
        PlayedJob(Outcome(0, results=FILES)), load=lambda files: pytest.fail("loaded"), is_wanted=lambda: next(answers)
    )
    run.poll()
    assert run.result is None
    assert isinstance(run.error, Cancelled)


def test_close_ends_without_telling():
    job, told = PlayedJob(), []
    run = make_run(job, on_finished=told.append)
    run.close()
    assert (run.finished, told, job.closed) == (True, [], 1)
    run.cancel()
    assert job.cancelled == 0, "nothing is left to cancel"
