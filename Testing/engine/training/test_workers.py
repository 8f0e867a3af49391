"""The processes of a training end with it, even when it is killed before they have begun."""

import multiprocessing
import os
import signal
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
    next(batches(SampleDataset(Slow(), 1, 1), 0, 1, batch=1, workers=2))
"""

ENDED_WORKER = """
import multiprocessing, os, select, signal, sys, time
from LungTumorSegLib.training.workers import end_with_parent

def work(ready):
    end_with_parent()
    ready.set()
    time.sleep(1000)

if __name__ == "__main__":
    number = getattr(signal, sys.argv[1])
    signal.signal(number, signal.default_int_handler)
    announced, announcing = os.pipe()
    os.set_blocking(announcing, False)
    signal.set_wakeup_fd(announcing)
    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    worker = fork.Process(target=work, args=(ready,))
    worker.start()
    ready.wait()
    os.kill(worker.pid, number)
    worker.join()
    print(worker.exitcode, select.select([announced], [], [], 0)[0])
"""

CANCELLED_TRAINING = """
import signal
from dataclasses import replace
import numpy as np
from LungTumorSegLib import cli
from LungTumorSegLib.commands import models, parser

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

class Zeros:
    def draw(self, rng):
        return np.zeros((8, 16, 16), np.float32), np.zeros((8, 16, 16), np.uint8)

def train(options, channel):
    from LungTumorSegLib.training.loader import SampleDataset, batches
    for number, _ in enumerate(batches(SampleDataset(Zeros(), 1, 1), 0, 10**6, batch=2, workers=2)):
        if number == 3:
            channel.item({}, "training")

parser.COMMANDS = (replace(models.COMMAND, run=train, resumes=True),)
if __name__ == "__main__":
    cli.run()
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


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no groups of processes to send signals to.")


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_worker_that_a_signal_ends_reports_no_error_and_does_not_end_the_training(tmp_path, name):
    script = tmp_path / "training.py"
    script.write_text(ENDED_WORKER)
    done = subprocess.run([sys.executable, str(script), name], capture_output=True, text=True, timeout=SOON)
    assert (done.stdout, done.stderr) == ("0 []\n", "")


@posix
@pytest.mark.slow  # 3 s each on an idle machine
@pytest.mark.parametrize(("name", "group"), [("SIGTERM", False), ("SIGTERM", True), ("SIGINT", True), ("SIGHUP", True)])
def test_a_cancelled_training_writes_one_sentence(tmp_path, name, group):
    script = tmp_path / "training.py"
    script.write_text(CANCELLED_TRAINING)
    command = [sys.executable, str(script), "models"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, start_new_session=True, text=True, **pipes) as training:
        assert training.stdout.readline() == "training\n"
        (os.killpg if group else os.kill)(training.pid, getattr(signal, name))
        _, err = training.communicate(timeout=SOON)
    assert (training.returncode, err) == (130, "Cancelled. No incomplete results were written.\n")
