"""What commands tell whoever started them."""

from __future__ import annotations

import json

import LungTumorSegLib.phantom
import LungTumorSegLib.pipeline
import numpy as np
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
    assert {path.name for path in (tmp_path / "demo" / "phantom").iterdir()} == {"ct.nii.gz", "tumor.nii.gz", "lungs.nii.gz"}
