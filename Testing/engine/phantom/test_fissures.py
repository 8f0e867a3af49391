"""Fissures and lobes: where they lie, what of them a CT shows, and that phantoms without lobes stay what they were."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Grid
from LungTumorSegLib.io.images import read_volume
from LungTumorSegLib.phantom import Phantom, PhantomOptions, make_follow_up, write_phantom
from LungTumorSegLib.phantom.canvas import Canvas, CoarseGrid
from LungTumorSegLib.phantom.fissures import LOBES, label_lobes, paint_fissures
from LungTumorSegLib.phantom.generate import PATIENT_BOX_MM
from LungTumorSegLib.phantom.patient import draw_patient, stream
from LungTumorSegLib.phantom.thorax import build_thorax
from result_files import names
from volumes import affine_of

PLAIN = PhantomOptions(
    spacing_mm=(8.0, 4.1, 3.7), lesions=(), distractors=(), couch="none", arms="up", emphysema=0, body_grid_mm=6.0
)
LOBED = replace(PLAIN, lobes=True, fissure_gaps=0.0, accessory_fissures=())
LUNG_HU = -850.0


@cache
def a_thorax(seed, options=LOBED):
    """The thorax of a seed on a grid of 8 mm, without what fills it."""
    low, high = (np.asarray(corner, float) for corner in PATIENT_BOX_MM["up"])
    return build_thorax(draw_patient(seed, options), CoarseGrid.around(low, high, 8.0), stream(seed, "thorax"))


def a_canvas(thorax, spacing_mm=(8.0, 4.0, 4.0)):
    """A canvas of lung tissue around both lungs."""
    size = tuple(int(length / step) for length, step in zip((320, 240, 300), spacing_mm, strict=True))
    grid = Grid(size, affine_of(spacing=spacing_mm, origin=(-150, -120, -220)))
    return Canvas(grid, thorax.grid, np.full(size, LUNG_HU, np.float32))


def lobes_of(thorax, canvas):
    """Labels of the lobes of a thorax without disease."""
    box, lungs = canvas.everything, np.zeros(canvas.grid.shape, np.uint8)
    for label, lung in ((1, thorax.left_lung), (2, thorax.right_lung)):
        lungs[canvas.sample(lung, box) < 0] = label
    return label_lobes(canvas, thorax, lungs)


def painted(options):
    """How much denser the fissures of a patient make the lung, HU."""
    thorax = a_thorax(31, options)
    canvas = a_canvas(thorax, (6.0, 2.0, 2.0))
    paint_fissures(canvas, thorax)
    return canvas.hu - LUNG_HU


@pytest.fixture(scope="module")
def phantom(phantom_of) -> Phantom:
    return phantom_of(31, LOBED)


def test_five_lobes_fill_the_lungs_of_their_side(phantom):
    lungs, lobes = phantom.lungs.array, phantom.lobes.array
    assert np.array_equal(lobes > 0, lungs > 0)
    assert set(np.unique(lobes[lungs == 1])) == {1, 2}
    assert set(np.unique(lobes[lungs == 2])) == {3, 4, 5}
    assert phantom.lobes.same_grid(phantom.ct)


def test_lobes_are_written_only_if_they_were_asked_for(phantom, tmp_path):
    for name, written in (("with", phantom), ("without", replace(phantom, lobes=None))):
        write_phantom(written, tmp_path / name)
    assert names(tmp_path / "without") == {"ct.nii.gz", "lungs.nii.gz", "tumor.nii.gz"}
    assert names(tmp_path / "with") == {"lobes.nii.gz", *names(tmp_path / "without")}
    assert np.array_equal(read_volume(tmp_path / "with/lobes.nii.gz").array, phantom.lobes.array)


def test_lobes_have_the_volumes_of_adults():
    """Shares of the volume of both lungs; those of adults are about 24, 22, 20, 9 and 25 percent."""
    counts = np.zeros(len(LOBES))
    for seed in (31, 32, 33):
        lobes = lobes_of(a_thorax(seed), a_canvas(a_thorax(seed)))
        counts += np.bincount(lobes.ravel(), minlength=6)[1:]
    shares = dict(zip(LOBES, counts / counts.sum(), strict=True))
    expected = {"left_upper": 0.24, "left_lower": 0.22, "right_upper": 0.20, "right_middle": 0.09, "right_lower": 0.25}
    assert shares == pytest.approx(expected, abs=0.06)


def test_lower_lobes_lie_behind_and_below(phantom):
    lobes = phantom.lobes
    at = {name: lobes.index_to_lps(np.argwhere(lobes.array == n)).mean(axis=0) for n, name in enumerate(LOBES, start=1)}
    for side, left in (("left", 1), ("right", -1)):
        upper, lower = at[f"{side}_upper"], at[f"{side}_lower"]
        assert min(upper[0] * left, lower[0] * left) > 30
        assert lower[1] > upper[1] + 15
        assert lower[2] < upper[2] - 40
    assert at["right_middle"][2] < at["right_upper"][2] - 40
    assert at["right_middle"][1] < at["right_lower"][1] - 40


def test_every_patient_has_fissures_of_its_own():
    for first, second in zip(a_thorax(31).fissures, a_thorax(32).fissures, strict=True):
        assert abs(np.median(first.sheet) - np.median(second.sheet)) > 0.5


def test_a_gap_hides_a_part_of_a_fissure_and_keeps_the_lobes():
    whole, partly, none = (painted(replace(LOBED, fissure_gaps=gaps)) for gaps in (0.0, 0.5, 1.0))
    assert whole.max() > 100, "a fissure is denser than the lung"
    assert 0.3 < np.count_nonzero(partly > 20) / np.count_nonzero(whole > 20) < 0.7
    assert not none.any()
    complete, incomplete = (a_thorax(31, replace(LOBED, fissure_gaps=gaps)) for gaps in (0.0, 0.5))
    canvas = a_canvas(complete)
    assert np.array_equal(lobes_of(complete, canvas), lobes_of(incomplete, canvas))


@pytest.mark.parametrize(("name", "label"), [("azygos", 3), ("inferior", 5), ("left_horizontal", 1)])
def test_an_accessory_fissure_divides_one_lobe_and_is_no_border(name, label):
    without, with_it = LOBED, replace(LOBED, accessory_fissures=(name,))
    added = painted(with_it) > painted(without) + 20
    canvas = a_canvas(a_thorax(31), (6.0, 2.0, 2.0))
    lobes = lobes_of(a_thorax(31, with_it), canvas)
    assert np.array_equal(lobes, lobes_of(a_thorax(31), canvas))
    assert np.count_nonzero(added) > 200
    assert np.mean(lobes[added] == label) > 0.9


def test_gaps_are_drawn_per_patient():
    drawn = replace(PLAIN, lobes=True)
    incomplete = [each.gap is not None for seed in (3, 4, 5) for each in a_thorax(seed, drawn).fissures[:3]]
    assert 0 < np.mean(incomplete) < 1


def test_other_phantoms_keep_their_fissures():
    """Sheets as in the first version, on which all measured numbers and trained networks rest."""
    thorax = a_thorax(31, PLAIN)
    x, y, z = thorax.model
    bow = 0.0012 * (np.abs(x) - 65) ** 2
    oblique = (y * 0.83 + (z - 5) * 0.62 + 18 - bow).astype(np.float32) * np.float32(0.95)
    right, left, horizontal = thorax.fissures
    assert np.array_equal(right.sheet, oblique)
    assert np.array_equal(left.sheet, oblique)
    assert np.array_equal(horizontal.sheet, (z + 32 + 0.12 * y + bow).astype(np.float32))
    assert np.array_equal(horizontal.lung, np.maximum(thorax.right_lung, oblique))
    assert right.gap is left.gap is horizontal.gap is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fissure_gaps": 0.5}, "set lobes too"),
        ({"accessory_fissures": ("azygos",)}, "set lobes too"),
        ({"lobes": True, "fissure_gaps": 1.5}, "share from 0 to 1, not 1.5"),
        ({"lobes": True, "accessory_fissures": ("oblique",)}, "no accessory fissure named 'oblique'"),
    ],
)
def test_fissures_that_do_not_exist_are_refused(options, message):
    with pytest.raises(UnusableInput, match=message):
        PhantomOptions(**options)


def test_a_follow_up_has_no_lobes():
    with pytest.raises(UnusableInput, match="omit lobes"):
        make_follow_up(1, LOBED)
