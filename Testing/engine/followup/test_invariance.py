"""What a comparison must not depend on: the order of the examinations, position, and the order of a file's axes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LungTumorSegLib import compare
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.followup.comparison import FollowUp
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from two_lungs import ct_of, segments_of

DAYS = 100
STAYING, GROWING = ((66.0, 0.0, 40.0), 9.0), ((-66.0, 10.0, 0.0), 10.0)
LEAVING, COMING = ((-60.0, -20.0, -50.0), 9.0), ((70.0, 20.0, -50.0), 9.0)
EARLIER = {"Tumor 1": GROWING, "Tumor 2": STAYING, "Tumor 3": LEAVING}
LATER = {"Tumor 1": (GROWING[0], 13.0), "Tumor 2": COMING, "Tumor 3": STAYING}
MOTION = {"shift": (6.0, -9.0, 12.0), "stretch": 1.1}
OPPOSITE = {"grown": "shrunk", "shrunk": "grown", "new": "gone", "gone": "new", "stable": "stable"}


def written(folder: Path, segments: list[Segment], *, ct: bool = False) -> Path:
    folder.mkdir()
    write_segmentation(segments, folder / "segmentation.seg.nrrd")
    if ct:
        write_volume(ct_of(segments), folder / "ct.nrrd")
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    earlier = written(folder / "earlier", segments_of(EARLIER), ct=True)
    return earlier, written(folder / "later", segments_of(LATER, **MOTION))


@pytest.fixture(scope="module")
def forward(pair):
    return compare(*pair, days=DAYS)


def fates(found: FollowUp) -> dict[tuple, str]:
    """Return the status of each pair of names."""
    return {tuple(tuple(each.name for each in visit) for visit in track.visits): track.status for track in found.tracks}


def changes(found: FollowUp) -> dict[tuple, float]:
    """Return the change in percent of each pair that was there twice."""
    names = zip(fates(found), found.tracks, strict=True)
    return {pair: track.change_percent for pair, track in names if track.earlier and track.later}


def turned(volume: Volume, axes: tuple[int, int, int], flipped: tuple[int, ...]) -> Volume:
    """Return the same voxels in another order of axes, of which some run the other way."""
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, :3][:, axes]
    array = volume.array.transpose(axes)
    for axis in flipped:
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.flip(array, flipped).copy(), affine)


def moved(volume: Volume, degrees: float, shift: tuple[float, float, float]) -> Volume:
    """Return the same voxels, turned about the long axis of the patient and shifted."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    motion = np.eye(4)
    motion[:3, :3] = [[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]
    motion[:3, 3] = shift
    return Volume(volume.array, motion @ volume.affine)


@pytest.mark.slow
def test_an_examination_against_itself_is_unchanged_everywhere(pair):
    found = compare(pair[0], pair[0], days=DAYS)
    assert set(fates(found).values()) == {"stable"}
    assert set(changes(found).values()) == {0.0}
    assert all(len(before) == len(after) == 1 and before == after for before, after in fates(found))
    assert all(track.doubling_time(found.days) is None for track in found.tracks)
    assert (found.response.category, found.volume_response) == ("SD", "SD")
    assert found.registration.overlap > 0.995
    assert found.registration.residual_p95_mm < 1.5  # half a voxel of the registration


@pytest.mark.slow
def test_swapped_examinations_give_the_opposite_fates_and_inverse_ratios(pair, forward):
    backward = compare(pair[1], pair[0], days=DAYS)
    assert fates(backward) == {pair[::-1]: OPPOSITE[status] for pair, status in fates(forward).items()}
    assert set(fates(forward).values()) == {"grown", "stable", "new", "gone"}
    for names, change in changes(forward).items():
        assert (1 + changes(backward)[names[::-1]] / 100) * (1 + change / 100) == pytest.approx(1)
    times = [
        [each.doubling_time(DAYS).days for each in found.tracks if each.status in ("grown", "shrunk")]
        for found in (forward, backward)
    ]
    assert times[0][0] == pytest.approx(-times[1][0])


@pytest.mark.parametrize(
    ("axes", "flipped"),
    [
        ((1, 2, 0), (0, 2)),
        pytest.param((2, 0, 1), (1,), marks=pytest.mark.slow),
        pytest.param((0, 1, 2), (0, 1, 2), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_order_of_axes_in_the_later_file_does_not_matter(pair, forward, tmp_path, axes, flipped):
    segments = [replace(each, mask=turned(each.mask, axes, flipped)) for each in segments_of(LATER, **MOTION)]
    found = compare(pair[0], written(tmp_path / "later", segments), days=DAYS)
    assert fates(found) == fates(forward)
    assert changes(found) == pytest.approx(changes(forward))
    points = forward.earlier.lesions[0].points_lps
    assert np.abs(found.registration.to_later(points) - forward.registration.to_later(points)).max() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("degrees", "shift"), [(0.0, (500.0, -300.0, 1200.0)), (10.0, (-40.0, 25.0, 10.0)), (-8.0, (0.0, 0.0, -900.0))]
)
def test_the_position_of_the_later_ct_does_not_matter(pair, forward, tmp_path, degrees, shift):
    segments = [replace(each, mask=moved(each.mask, degrees, shift)) for each in segments_of(LATER, **MOTION)]
    found = compare(pair[0], written(tmp_path / "later", segments), days=DAYS)
    assert fates(found) == fates(forward)
    assert changes(found) == pytest.approx(changes(forward))
    assert found.registration.overlap > 0.95


@pytest.mark.slow
def test_a_moved_copy_of_the_ct_shows_no_change(pair, tmp_path):
    segments = [replace(each, mask=moved(each.mask, 6.0, (15.0, -20.0, 30.0))) for each in segments_of(EARLIER)]
    ct = ct_of(segments)
    write_volume(CTVolume(ct.array, ct.affine), tmp_path / "ct.nrrd")
    found = compare(pair[0], written(tmp_path / "copy", segments), later_ct=tmp_path / "ct.nrrd", days=DAYS)
    assert set(fates(found).values()) == {"stable"}
    assert list(changes(found).values()) == pytest.approx([0.0] * 3)
