"""A Dask cluster works through the same list, and a lost worker loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import quick_engine
from cohorts import Heard, a_cohort, batch, rows, starts
from LungTumorSegLib.cohort.batch import run_batch
from LungTumorSegLib.core.errors import MachineLimit

PRELOAD = f"""
import sys
from LungTumorSegLib.cohort.run_item import Task
Task.command = property(
    lambda task: [sys.executable, {quick_engine.__file__!r}, str(task.item.path), str(task.result)]
)
"""


@pytest.fixture
def cluster(tmp_path):
    """A scheduler with two workers, which run the stand-in for the engine."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        local_directory=str(tmp_path / "dask"),
        preload=[PRELOAD],
    ) as running:
        yield running


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(os.name == "nt", reason="Locks cannot be inherited on Windows.")
def test_a_killed_worker_loses_nothing_and_nothing_is_computed_twice(cluster, tmp_path):
    table = a_cohort(tmp_path, A="good", B="slow", C="good", D="damaged", E="good")

    def kill_the_worker_of_b() -> None:
        while not {"B.txt", "E.txt"} <= set(starts(tmp_path)):
            time.sleep(0.02)
        busy = [worker for worker in cluster.scheduler.workers.values() if worker.processing]
        os.kill(cluster.workers[busy[0].name].pid, signal.SIGKILL)
        (tmp_path / "go").touch()

    killer = threading.Thread(target=kill_the_worker_of_b)
    killer.start()
    run_batch(batch(table, workers=None, scheduler=cluster.scheduler_address), Heard())
    killer.join()
    assert [row["state"] for row in rows(tmp_path)] == ["done", "done", "done", "refused", "done"]
    assert starts(tmp_path) == ["A.txt", "B.txt", "C.txt", "D.txt", "E.txt"]
    assert list((tmp_path / "out" / ".batch").glob("stop-*")) == []


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("LungTumorSegLib.cohort.schedule.CONNECT_SECONDS", 1)
    table = a_cohort(Path(tmp_path), A="good")
    with pytest.raises(MachineLimit, match=r"The Dask scheduler tcp://127\.0\.0\.1:1 does not answer"):
        run_batch(batch(table, workers=None, scheduler="tcp://127.0.0.1:1"), Heard())
