"""What becomes of a job, without Slicer: a played job gives what a real one would."""

from __future__ import annotations

from pathlib import Path

import pytest
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.core.events import Cancelled, Progress
from LungTumorSegLib.process.segmentation_job import Outcome
from LungTumorSegLib.process.segmentation_run import SegmentationRun
from LungTumorSegLib.results.reader import RunFiles

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
    assert "could not be brought into the scene" in str(run.error)
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
