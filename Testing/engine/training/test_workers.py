"""The processes of a training end with it, even when it is killed before they have begun."""

import multiprocessing
import subprocess
import sys

import pytest

SOON = 60

A_WORKER_OF = """
import multiprocessing, sys, time
from LungTumorSegLib.training.workers import end_with_parent

def work():
    time.sleep({before})
    end_with_parent()
    print("working", flush=True)
    time.sleep(1000)

if __name__ == "__main__":
    worker = multiprocessing.get_context("{method}").Process(target=work)
    worker.start()
    print("started", flush=True)
    worker.join()
"""

LOADING = """
import sys, time
from LungTumorSegLib.training.loader import SampleDataset, batches

class Slow:
    def draw(self, rng):
        print("working", flush=True)
        time.sleep(1000)

if __name__ == "__main__":
    next(batches(SampleDataset(Slow(), 1, 1), 0, 1, 1, 2))
"""


def kill_at(script, word):
    """Kills the process that runs ``script`` when it has said ``word``; waits until nobody holds its output open any
    more."""
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    while process.stdout.readline().strip() != word:
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=SOON)


@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & {*multiprocessing.get_all_start_methods()}))
@pytest.mark.parametrize(("before", "word"), [(0, "working"), (2, "started")])
def test_a_worker_ends_with_its_parent(tmp_path, method, before, word):
    script = tmp_path / "training.py"
    script.write_text(A_WORKER_OF.format(method=method, before=before))
    kill_at(script, word)


def test_workers_that_make_samples_end_with_the_training(tmp_path):
    script = tmp_path / "training.py"
    script.write_text(LOADING)
    kill_at(script, "working")
