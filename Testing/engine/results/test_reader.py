"""Whole results are read, damaged ones are refused before Slicer's reader sees them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from LungTumorSegLib.core import terminology
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.results.reader import read_run, read_summary


@pytest.fixture
def results(tmp_path):
    grid = np.diag([0.6, 0.7, 3.0, 1.0])[:, [2, 1, 0, 3]]
    noise = np.random.default_rng(1).random((6, 7, 8))
    tumor = Segment("Tumor 1", Volume(noise > 0.5, grid), (1, 0, 0), terminology.TUMOR["Left"])
    write_segmentation([tumor], tmp_path / "segmentation.seg.nrrd")
    write_volume(Volume(noise.astype(np.float32), grid), tmp_path / "probability.nrrd")
    (tmp_path / "summary.json").write_text(json.dumps({"lesions": []}))
    return tmp_path


def test_an_intact_result_is_read(results):
    run = read_run(results)
    assert run.summary == {"lesions": []}
    assert run.probability is None


def test_the_probability_map_is_read_where_it_is_wanted(results):
    probability = read_run(results, probability=True).probability
    assert probability.array.dtype == np.float32
    assert probability.shape == (6, 7, 8)
    np.testing.assert_allclose(probability.spacing, (3.0, 0.7, 0.6))


def test_only_the_part_of_the_map_that_says_something_is_kept(results):
    grid = np.diag([0.6, 0.7, 3.0, 1.0])[:, [2, 1, 0, 3]]
    values = np.zeros((6, 7, 8), np.float32)
    write_volume(Volume(values, grid), results / "probability.nrrd")
    assert read_run(results, probability=True).probability.shape == (1, 1, 1)
    values[2:4, 1:6, 3] = 0.25
    write_volume(Volume(values, grid), results / "probability.nrrd")
    probability = read_run(results, probability=True).probability
    assert probability.shape == (2, 5, 1)
    np.testing.assert_allclose(probability.origin, (3 * 0.6, 1 * 0.7, 2 * 3.0), atol=1e-6)
    assert (probability.array == 0.25).all()


@pytest.mark.parametrize("name", ["segmentation.seg.nrrd", "summary.json", "probability.nrrd"])
@pytest.mark.parametrize("kept_bytes", [None, 0, 10, -20])
def test_a_missing_or_truncated_file_is_refused(results, name, kept_bytes):
    path = results / name
    content = path.read_bytes()
    path.unlink()
    if kept_bytes is not None:
        path.write_bytes(content[:kept_bytes])
    with pytest.raises(MachineLimit, match="The results of the run are damaged; run the segmentation again"):
        read_run(results, probability=True)


def test_a_summary_without_lesions_is_refused(results, caplog):
    (results / "summary.json").write_text("[]")
    with pytest.raises(MachineLimit, match="damaged"):
        read_run(results)
    assert "lists no lesions" in caplog.text, "the log tells what the message leaves out"


@pytest.mark.parametrize("confidence", [7, -0.1, 1.01])
def test_a_confidence_outside_0_to_1_is_refused(tmp_path, confidence):
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({"lesions": [{"segment": "Tumor 1", "confidence": confidence}]}))
    with pytest.raises(UnusableInput, match=r"confidence .* of a lesion is not between 0 and 1"):
        read_summary(path)
