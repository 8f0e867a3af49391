"""What commands tell whoever started them."""

from __future__ import annotations

import json
import subprocess
import sys

import LungTumorSegLib.phantom
import LungTumorSegLib.pipeline
import numpy as np
import pytest
from LungTumorSegLib import cli
from LungTumorSegLib.phantom import Phantom
from made_results import a_result


class Heard:
    """A channel that keeps what it hears."""

    def __init__(self):
        self.results = []

    def progress(self, progress):
        pass

    def result(self, data, text):
        self.results.append((data, text))


def test_the_demo_tells_its_result_once_with_the_dice_of_phantom_and_segmentation(tmp_path, monkeypatch):
    result = a_result()
    truth = (result.report.labels.array > 0).astype(np.uint8)
    truth[:, :, truth.any(axis=(0, 1)).argmax()] = 0  # of 9 columns of lesion the truth has 8
    lungs = result.ct.with_array(np.zeros(truth.shape, np.uint8))
    phantom = Phantom(result.ct, result.ct.with_array(truth), lungs, (), np.zeros((2, 3)))
    monkeypatch.setattr(LungTumorSegLib.phantom, "make_phantom", lambda seed: phantom)
    monkeypatch.setattr(LungTumorSegLib.pipeline, "segment", lambda *_: result)
    options = cli._parser().parse_args(["demo", "-o", str(tmp_path / "demo"), "--no-picture"])
    channel = Heard()
    options.run(options, channel)
    ((data, text),) = channel.results
    assert data["dice"] == round(2 * 8 / (8 + 9), 4)
    assert data["summary"] == json.loads((tmp_path / "demo" / "summary.json").read_text(encoding="utf-8"))
    assert text.splitlines()[-1] == "The phantom has 0 lesions; 3D Dice over all of them 0.94."
    assert {path.name for path in (tmp_path / "demo" / "phantom").iterdir()} == {
        "ct.nii.gz",
        "tumor.nii.gz",
        "lungs.nii.gz",
    }


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "LungTumorSegLib", *arguments], capture_output=True, text=True, stdin=subprocess.PIPE
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["segment", "ct.nii.gz", "--events", "jsonl"],
            "lungtumorseg segment: the following arguments are required: -o/--output",
        ),
        (
            ["segment", "ct.nii.gz", "-o", "out", "--events=jsonl", "--stride", "two"],
            "argument --stride: invalid int value: 'two'",
        ),
        (["demo", "-o", "out", "--events", "jsonl", "--colour"], "lungtumorseg: unrecognized arguments: --colour"),
    ],
)
def test_a_program_hears_of_wrong_arguments_in_an_event(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    (event,) = map(json.loads, done.stdout.splitlines())
    assert (event["event"], event["code"]) == ("error", 2)
    assert message in event["message"]
    assert done.stderr.splitlines()[-1] == event["message"]


def test_a_person_reads_of_wrong_arguments_after_the_usage():
    done = run("isolate", "ct.nii.gz")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: lungtumorseg isolate")
    assert done.stderr.splitlines()[-1] == "lungtumorseg isolate: the following arguments are required: -o/--output"


def test_help_is_a_result_and_no_error():
    done = run("segment", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: lungtumorseg segment")
    assert done.stderr == ""
