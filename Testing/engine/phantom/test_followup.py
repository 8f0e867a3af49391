"""A phantom on two days: the same patient, moved by a known map, with lesions of known fates."""

from __future__ import annotations

import json

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.io.images import read_volume
from LungTumorSegLib.phantom import LesionSpec, PhantomOptions, make_follow_up, write_follow_up_phantom
from LungTumorSegLib.phantom.followup import FATES, GROWTH, SHRINKAGE
from LungTumorSegLib.phantom.truth import FOLLOW_UP_FILES
from scipy import ndimage

SPECS = tuple(LesionSpec("solid", 20.0 + n, "lung") for n in range(6))
OPTIONS = PhantomOptions(
    spacing_mm=(5.0, 3.5, 3.5), lesions=SPECS, distractors=(), arms="up", noise_hu=10, body_grid_mm=6.0
)


@pytest.fixture(scope="module")
def pair():
    return make_follow_up(11, OPTIONS)


def volumes(pair):
    for lesion in pair.lesions:
        yield (
            lesion,
            sum(pair.earlier.lesions[n - 1].volume_ml for n in lesion.earlier),
            sum(pair.later.lesions[n - 1].volume_ml for n in lesion.later),
        )


def test_every_fate_occurs_and_changes_the_volume_accordingly(pair):
    assert {lesion.fate for lesion in pair.lesions} == {*FATES, "new"}
    for lesion, before, after in volumes(pair):
        if lesion.fate in ("gone", "new"):
            assert (before == 0) == (lesion.fate == "new")
            assert (after == 0) == (lesion.fate == "gone")
        else:
            low, high = {"grown": GROWTH, "shrunk": SHRINKAGE, "split": (0.3, 0.55)}.get(lesion.fate, (1, 1))
            assert 0.85 * low < after / before < 1.15 * high, lesion
        assert len(lesion.later) == {"gone": 0, "split": 2}.get(lesion.fate, 1)


def test_lesions_lie_where_the_map_carries_them(pair):
    vectors, grid = pair.displacement
    for lesion in pair.lesions:
        if len(lesion.earlier) == len(lesion.later) == 1:
            here = np.array(pair.earlier.lesions[lesion.earlier[0] - 1].center_lps_mm)
            there = np.array(pair.later.lesions[lesion.later[0] - 1].center_lps_mm)
            index = grid.lps_to_index(there[None]).T
            back = there + [ndimage.map_coordinates(vectors[..., axis], index, order=1)[0] for axis in range(3)]
            assert np.abs(back - here).max() < 0.5


def test_landmarks_move_by_breath_and_position(pair):
    moved = np.linalg.norm(pair.landmarks_lps_mm[:, 1] - pair.landmarks_lps_mm[:, 0], axis=1)
    assert moved.max() > 5
    shape = pair.later.lungs.shape
    index = np.rint(pair.later.lungs.lps_to_index(pair.landmarks_lps_mm[:, 1])).astype(int)
    index = index[((index >= 0) & (index < shape)).all(axis=1)]
    inside = (pair.later.lungs.array > 0) | (pair.later.tumor.array > 0)
    assert inside[tuple(index.T)].mean() > 0.9


def test_the_later_scan_is_another_one(pair):
    assert pair.later.ct.spacing > pair.earlier.ct.spacing
    assert 0 < pair.days < 500
    ratio = (pair.later.lungs.array > 0).sum() * pair.later.lungs.voxel_volume_ml
    ratio /= (pair.earlier.lungs.array > 0).sum() * pair.earlier.lungs.voxel_volume_ml
    assert 0.7 < ratio < 1.4


def test_all_files_are_written_and_say_the_same(pair, tmp_path):
    write_follow_up_phantom(pair, tmp_path / "pair")
    assert {path.name for path in (tmp_path / "pair").iterdir()} >= set(FOLLOW_UP_FILES)
    truth = json.loads((tmp_path / "pair" / "truth.json").read_text(encoding="utf-8"))
    later = read_volume(tmp_path / "pair" / "later-tumor.nii.gz")
    assert truth["days"] == pair.days
    for entry in truth["lesions"]:
        volume = np.isin(later.array, entry["later_labels"]).sum() * later.voxel_volume_ml
        assert volume == pytest.approx(entry["volume_later_ml"], abs=0.01)


def test_oblique_grids_are_refused():
    with pytest.raises(UnusableInput, match="axial grids"):
        make_follow_up(1, PhantomOptions(origin_lps_mm=(0, 0, 0)))


def test_a_negative_seed_is_refused():
    with pytest.raises(UnusableInput, match="0 or more"):
        make_follow_up(-1)
