"""The phantoms of the Image Biomarker Standardisation Initiative (IBSI), and our values for them.

The phantoms are prepared as the initiative's reference manual specifies.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import read_volume
from LungTumorSegLib.lesions.measurements import Intensities, Shape, intensities_of, shape_of
from scipy import ndimage

FOLDER = Path(__file__).resolve().parents[1] / "data" / "ibsi"
CANONICAL = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)

HALF = 0.5 - 1e-6
"""Fraction from which a voxel belongs to an interpolated region, so that rounding does not exclude an exact half."""


@dataclass(frozen=True)
class Configuration:
    """The steps between the CT phantom and its measures.

    Attributes:
        spacing_mm: Spacing after resampling (slice, row, column), mm; None does not resample.
        order: Order of the spline.
        lowest_hu: Lowest HU that is included.
        highest_hu: Highest HU that is included.
        outliers_sigma: Largest distance from the mean, in standard deviations.
    """

    spacing_mm: tuple[float, float, float] | None
    order: int = 1
    lowest_hu: float = -np.inf
    highest_hu: float = np.inf
    outliers_sigma: float = np.inf


CONFIGURATIONS = {
    "A": Configuration(None, lowest_hu=-500, highest_hu=400),
    "B": Configuration((3, 2, 2), lowest_hu=-500, highest_hu=400),
    "C": Configuration((2, 2, 2), lowest_hu=-1000, highest_hu=400),
    "D": Configuration((2, 2, 2), outliers_sigma=3),
    "E": Configuration((2, 2, 2), order=3, lowest_hu=-1000, highest_hu=400, outliers_sigma=3),
}


@dataclass(frozen=True)
class Row:
    """One line of the conformance table.

    Attributes:
        configuration: "digital" or a configuration A to E.
        tag: The initiative's tag of the measure.
        reference: Reference value.
        tolerance: Tolerance of the reference value.
        ours: Our value.
    """

    configuration: str
    tag: str
    reference: float
    tolerance: float
    ours: float

    @property
    def conforms(self) -> bool:
        """True if our value, rounded to the reference's three significant digits, is within the tolerance."""
        return abs(float(f"{self.ours:.3g}") - self.reference) <= self.tolerance * (1 + 1e-9)


def digital_phantom() -> tuple[Volume, np.ndarray]:
    """Return the region (bool) of the digital phantom and the values inside it."""
    slices = (FOLDER / "digital_phantom.txt").read_text(encoding="utf-8").strip().split("\n\n")
    cells = np.array([[row.split() for row in slice_.splitlines()] for slice_ in slices])
    mask = cells != "."
    return Volume(mask, CANONICAL * (2, 2, 2, 1)), cells[mask].astype(float)


def ct_phantom(folder: Path, configuration: Configuration) -> tuple[Volume, np.ndarray]:
    """Return the region (bool) of the CT phantom and the HU inside it after the configuration's steps."""
    ct, roi = (read_volume(folder / name) for name in ("ct.nii.gz", "mask_gtv.nii.gz"))
    hu, mask = np.rint(ct.array).astype(np.float64), Volume(roi.array > 0, CANONICAL * (*ct.spacing, 1))
    if configuration.spacing_mm:
        hu = np.rint(_resampled(hu, ct.spacing, configuration.spacing_mm, configuration.order))
        inside = _resampled(mask.array.astype(np.float64), ct.spacing, configuration.spacing_mm, 1) >= HALF
        mask = Volume(inside, CANONICAL * (*configuration.spacing_mm, 1))
    values = hu[mask.array]
    values = values[(values >= configuration.lowest_hu) & (values <= configuration.highest_hu)]
    deviation = np.abs(values - values.mean())
    return mask, values[deviation <= configuration.outliers_sigma * values.std()]


def _resampled(array: np.ndarray, spacing: tuple[float, ...], wanted: tuple[float, ...], order: int) -> np.ndarray:
    """Resample ``array`` to ``wanted`` spacing with the same center; the nearest value continues beyond the edge."""
    size = [int(np.ceil(n * s / w - 1e-9)) for n, s, w in zip(array.shape, spacing, wanted, strict=True)]
    step = np.divide(wanted, spacing)
    start = (np.asarray(array.shape) - 1) / 2 - step * (np.asarray(size) - 1) / 2
    return np.asarray(ndimage.affine_transform(array, step, start, size, order=order, mode="nearest"))


def our_values(mask: Volume, values: np.ndarray) -> dict[str, float]:
    """Return our measures by the initiative's tags, in its units; some are derived from others by a formula."""
    shape, hu = shape_of(mask), intensities_of(values)
    both = {"morph_integ_int": shape.mesh_volume_ml * 1000 * hu.mean_hu}
    return _shape_values(mask, shape) | both | _intensity_values(hu, len(values))


def _shape_values(mask: Volume, shape: Shape) -> dict[str, float]:
    volume_mm3, area = shape.mesh_volume_ml * 1000, shape.surface_mm2
    return {
        "morph_volume": volume_mm3,
        "morph_vol_approx": np.count_nonzero(mask.array) * mask.voxel_volume_ml * 1000,
        "morph_area_mesh": area,
        "morph_av": area / volume_mm3,
        "morph_comp_1": volume_mm3 / (np.sqrt(np.pi) * area**1.5),
        "morph_comp_2": shape.sphericity**3,
        "morph_sph_dispr": 1 / shape.sphericity,
        "morph_sphericity": shape.sphericity,
        "morph_asphericity": 1 / shape.sphericity - 1,
        "morph_diam": shape.diameter_3d_mm,
        "morph_pca_maj_axis": shape.major_axis_mm,
        "morph_pca_min_axis": shape.minor_axis_mm,
        "morph_pca_least_axis": shape.least_axis_mm,
        "morph_pca_elongation": shape.elongation,
        "morph_pca_flatness": shape.flatness,
    }


def _intensity_values(hu: Intensities, count: int) -> dict[str, float]:
    return {
        "stat_mean": hu.mean_hu,
        "stat_var": hu.sd_hu**2,
        "stat_skew": hu.skewness,
        "stat_kurt": hu.excess_kurtosis,
        "stat_median": hu.median_hu,
        "stat_min": hu.min_hu,
        "stat_p10": hu.p10_hu,
        "stat_p90": hu.p90_hu,
        "stat_max": hu.max_hu,
        "stat_iqr": hu.p75_hu - hu.p25_hu,
        "stat_range": hu.max_hu - hu.min_hu,
        "stat_cov": hu.sd_hu / hu.mean_hu,
        "stat_qcod": (hu.p75_hu - hu.p25_hu) / (hu.p75_hu + hu.p25_hu),
        "stat_energy": count * (hu.mean_hu**2 + hu.sd_hu**2),
        "stat_rms": np.hypot(hu.mean_hu, hu.sd_hu),
    }


def rows(configuration: str, ct_folder: Path | None = None) -> Iterator[Row]:
    """Yield the conformance table of one configuration.

    Args:
        configuration: "digital" or a configuration A to E.
        ct_folder: Folder of the CT phantom; the digital phantom does not need it.

    Yields:
        The rows of the table.
    """
    if configuration == "digital":
        ours = our_values(*digital_phantom())
    else:
        assert ct_folder is not None
        ours = our_values(*ct_phantom(ct_folder, CONFIGURATIONS[configuration]))
    for line in read_table("reference_values.csv"):
        if line["configuration"] == configuration:
            yield Row(configuration, line["tag"], float(line["reference"]), float(line["tolerance"]), ours[line["tag"]])


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of ``FOLDER``."""
    with open(FOLDER / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
