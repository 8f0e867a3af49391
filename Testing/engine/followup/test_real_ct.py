"""A real CT against altered copies of itself, with the readers' mask carried along: nothing has grown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from LungTumorSegLib import compare
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.followup.examination import Examination, read_examination
from LungTumorSegLib.followup.growth import REPEATABILITY_PERCENT
from LungTumorSegLib.io.images import read_ct, read_volume, write_volume
from scipy import ndimage

pytestmark = [pytest.mark.real_ct, pytest.mark.slow]

CASE, CT, MASK = "lidc_0001", "ct.nii.gz", "mask_nodules_consensus50.nii.gz"
AIR_HU = -1024
DEGREES = 10.0

Motion = Callable[[np.ndarray], np.ndarray]
"""Where points (n, 3) of the copy lie in the original, LPS mm."""


def stays(points: np.ndarray) -> np.ndarray:
    return points


def bends(points: np.ndarray) -> np.ndarray:
    """Shift by up to 8 mm, smoothly; each component depends on another axis only, so volumes stay within 4 %."""
    x, _, z = points.T
    waves = [6 * np.sin(2 * np.pi * z / 200), 8 * np.cos(2 * np.pi * z / 150), 7 * np.sin(2 * np.pi * x / 300)]
    return points + np.stack(waves, axis=-1)


def turns(points: np.ndarray) -> np.ndarray:
    """Turn about the long axis of the patient, through the origin."""
    cosine, sine = np.cos(np.radians(DEGREES)), np.sin(np.radians(DEGREES))
    return points @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def resampled(volume: Volume, motion: Motion, *, outside: float) -> np.ndarray:
    """Return the voxels of the copy, slice by slice."""
    centered = volume.index_to_lps((np.array(volume.shape) - 1) / 2)
    plane = np.stack(np.meshgrid(*(np.arange(n) for n in volume.shape[1:]), indexing="ij"), axis=-1).reshape(-1, 2)
    found = np.empty(volume.shape, np.float32)
    for k in range(volume.shape[0]):
        points = volume.index_to_lps(np.column_stack([np.full(len(plane), k), plane])) - centered
        index = volume.lps_to_index(motion(points) + centered).T
        values = ndimage.map_coordinates(volume.array, index, np.float32, order=1, mode="constant", cval=outside)
        found[k] = values.reshape(volume.shape[1:])
    return found


def moved(ct: Volume, mask: Volume, motion: Motion) -> tuple[Volume, Volume]:
    there = resampled(mask.with_array(mask.array.astype(np.float32)), motion, outside=0) >= 0.5
    return ct.with_array(np.rint(resampled(ct, motion, outside=AIR_HU)).astype(np.int16)), mask.with_array(there)


def thick(ct: Volume, mask: Volume) -> tuple[Volume, Volume]:
    """Every second slice, of the mean of its neighbors: 5 mm."""
    smooth = ndimage.convolve1d(ct.array.astype(np.float32), [0.25, 0.5, 0.25], axis=0, mode="nearest")
    affine = ct.affine.copy()
    affine[:3, 0] *= 2
    return Volume(np.rint(smooth[::2]).astype(np.int16), affine), Volume(mask.array[::2], affine)


def mirrored(ct: Volume, mask: Volume) -> tuple[Volume, Volume]:
    """The same patient, with rows and columns of the file in the other direction, and a header that says so."""
    affine = ct.affine.copy()
    for axis in (1, 2):
        affine[:3, 3] += affine[:3, axis] * (ct.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(ct.array[:, ::-1, ::-1].copy(), affine), Volume(mask.array[:, ::-1, ::-1].copy(), affine)


@pytest.fixture(scope="module")
def original(real_ct_folder) -> Examination:
    return read_examination(real_ct_folder / CASE / MASK, real_ct_folder / CASE / CT)


COPIES = {
    "the same file": (None, stays),
    "deformed": (lambda ct, mask: moved(ct, mask, bends), bends),
    "slices of 5 mm": (thick, stays),
    "turned": (lambda ct, mask: moved(ct, mask, turns), turns),
    "mirrored header": (mirrored, stays),
}


@pytest.mark.parametrize("name", COPIES)
def test_an_altered_copy_of_a_ct_shows_no_growth(real_ct_folder, original, tmp_path, name):
    change, motion = COPIES[name]
    ct = read_ct(real_ct_folder / CASE / CT)
    copy = original if change is None else altered(real_ct_folder, ct, change, tmp_path)
    found = compare(original, copy, days=100)
    assert [track.status for track in found.tracks] == ["stable"] * len(original.lesions)
    (track,) = found.tracks
    there = found.registration.to_earlier(track.later[0].points_lps)
    center = ct.index_to_lps((np.array(ct.shape) - 1) / 2)
    error = np.linalg.norm(there - motion(track.later[0].points_lps - center) - center, axis=1)
    print(  # noqa: T201  shown with -s: what was measured
        f"{name}: volume {track.change_percent:+.1f} %, overlap {found.registration.overlap:.3f}, residual "
        f"{found.registration.residual_mm:.2f} mm (95 % {found.registration.residual_p95_mm:.2f}), at the lesion "
        f"{np.median(error):.2f} mm, match {track.confidence:.3f}"
    )
    assert abs(track.change_percent) < REPEATABILITY_PERCENT / 2
    assert found.registration.overlap > 0.95
    assert found.registration.residual_mm < 2
    assert np.median(error) < 3
    assert (found.response.category, found.volume_response) == ("SD", "SD")


def altered(folder: Path, ct: CTVolume, change: Callable, private: Path) -> Examination:
    mask = read_volume(folder / CASE / MASK)
    for volume, name in zip(
        change(Volume(ct.array, ct.affine), mask.with_array(mask.array > 0)), (CT, MASK), strict=True
    ):
        write_volume(volume, private / name, compress=False)
    return read_examination(private / MASK, private / CT)
