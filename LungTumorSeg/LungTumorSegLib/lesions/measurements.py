"""Measurements of one lesion from its mask, the CT and the network's maps, in mm, mm2, mL and HU.

Shape and HU statistics follow the Image Biomarker Standardisation Initiative (Zwanenburg 2020,
doi:10.1148/radiol.2020191145). The tests compare them with its reference values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from ..core.boxes import Box, grow_box, slices_of
from ..core.components import CONNECTIVITY, connected_with
from ..core.computed import SLAB_SLICES
from ..core.crops import Crop
from ..core.lesion_words import Density
from ..core.surfaces import mesh_of
from ..core.volume import HU, Array, Mask, Point, Volume, as_point

SOLID_HU = -300
"""HU from which a voxel is solid.

With this value, part-solid nodules were found with 90% sensitivity and 88% specificity (Scholten 2015,
doi:10.1007/s00330-014-3427-z).
"""

AIR_HU_LIMIT = -800
"""HU below which a voxel of a lesion is air (cavity, bronchus, emphysema).

Such a voxel is neither solid nor ground glass, which begins near -750 HU.
"""

SOLID_SHARE, GROUND_GLASS_SHARE = 0.8, 0.06
"""Shares of solid tissue that define the density of a lesion.

A lesion is solid from the first share, and ground glass below the second. The values were chosen on phantoms; see the
tests.
"""

DENSITY_CORE_ML = 0.03
"""Volume (mL) inside the outermost layer below which the whole lesion is used for its density (a nodule of about 5 mm).

In such a lesion, partial-volume voxels hide whether it is solid in parts, so it is called solid or ground glass.
"""

LOW_PERCENTILE_SIGMA = 1.645
"""Distance of the 5th and 95th percentile of a normal distribution from its mean, in standard deviations."""

PART_VALUES = 1 << 20
"""Number of values that are raised to a power at a time."""

RANGE_REACH_MM = 20.0
"""Distance (mm) by which a lesion may grow when the probability is raised.

The network is rarely uncertain farther away.
"""


@dataclass(frozen=True)
class Shape:
    """Surface and shape of a mask.

    Volume and surface are those of the marching-cubes mesh. Each axis is 4 times the square root of an eigenvalue of
    the covariance of the voxel centers. For an ellipsoid, these are its axes; for a single voxel, they are 0.
    """

    mesh_volume_ml: float
    surface_mm2: float
    sphericity: float
    diameter_3d_mm: float
    major_axis_mm: float
    minor_axis_mm: float
    least_axis_mm: float

    @property
    def elongation(self) -> float:
        """Second axis divided by the first, 0 to 1; 1 for a single voxel."""
        return self.minor_axis_mm / self.major_axis_mm if self.major_axis_mm else 1.0

    @property
    def flatness(self) -> float:
        """Third axis divided by the first, 0 to 1; 1 for a single voxel."""
        return self.least_axis_mm / self.major_axis_mm if self.major_axis_mm else 1.0


@dataclass(frozen=True)
class Intensities:
    """HU statistics of the voxels of a mask.

    The standard deviation is that of the population. Percentiles are interpolated linearly.
    """

    mean_hu: float
    sd_hu: float
    min_hu: float
    p5_hu: float
    p10_hu: float
    p25_hu: float
    median_hu: float
    p75_hu: float
    p90_hu: float
    p95_hu: float
    max_hu: float
    skewness: float
    excess_kurtosis: float


@dataclass(frozen=True, eq=False)
class SolidPart:
    """The solid voxels of a lesion (at or above -300 HU).

    Attributes:
        volume_ml: Their volume, mL.
        density: The name of the lesion by its share of solid tissue.
        mask: The solid voxels (bool).
    """

    volume_ml: float
    density: Density
    mask: Volume


def shape_of(mask: Volume) -> Shape:
    """Measure the shape of a mask (bool, at least one true voxel, any axes)."""
    vertices, triangles = mesh_of(mask)
    a, b, c = (vertices - vertices.mean(axis=0))[triangles].transpose(1, 0, 2)
    volume_mm3 = float(np.einsum("ij,ij->", np.cross(a, b), c) / 6)
    surface_mm2 = float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)
    hull = vertices[ConvexHull(vertices).vertices]
    axes = principal_axes_mm(mask)
    return Shape(
        mesh_volume_ml=volume_mm3 / 1000,
        surface_mm2=surface_mm2,
        sphericity=float((36 * np.pi * volume_mm3**2) ** (1 / 3) / surface_mm2),
        diameter_3d_mm=float(pdist(hull).max()),
        major_axis_mm=axes[0],
        minor_axis_mm=axes[1],
        least_axis_mm=axes[2],
    )


def principal_axes_mm(mask: Volume) -> tuple[float, float, float]:
    """Return the principal axes (mm), longest first.

    The covariance is that of a sample (n - 1), because only this one matches the initiative's phantom of 74 voxels.
    """
    count = int(np.count_nonzero(mask.array))
    if count < 2:
        return 0.0, 0.0, 0.0
    variance = np.clip(np.linalg.eigvalsh(_scatter_mm2(mask) / (count - 1)), 0.0, None)
    least, minor, major = (4 * np.sqrt(variance)).tolist()
    return major, minor, least


def _scatter_mm2(mask: Volume) -> Array:
    """Return the matrix (3, 3) of the summed products of the voxels' distances (mm) from their mean, along the axes.

    It is computed from the numbers of voxels in each line of the grid, because the coordinates of all voxels of a large
    mask would take 50 times its memory.
    """
    middle = _mean_index(mask.array)
    offsets = [
        (np.arange(size) - center) * mm for size, center, mm in zip(mask.shape, middle, mask.spacing, strict=True)
    ]
    scatter = np.empty((3, 3))
    for a, b, other in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        lines = np.count_nonzero(mask.array, axis=other)
        scatter[a, b] = scatter[b, a] = offsets[a] @ lines @ offsets[b]
        scatter[a, a], scatter[b, b] = lines.sum(axis=1) @ offsets[a] ** 2, lines.sum(axis=0) @ offsets[b] ** 2
    return scatter


def _mean_index(mask: Mask) -> Array:
    """Return the mean index (slice, row, column) of the true voxels of a mask with at least one."""
    planes = [np.count_nonzero(mask, axis=others) for others in ((1, 2), (0, 2), (0, 1))]
    return np.array([np.arange(len(counts)) @ counts / counts.sum() for counts in planes])


def intensities_of(values_hu: HU) -> Intensities:
    """Compute the statistics of HU values of shape (n,), with n at least 1.

    Skewness and excess kurtosis of equal values are 0.
    """
    values = np.asarray(values_hu, dtype=np.float64)
    mean, sd = values.mean(), values.std()
    skewness, kurtosis = (_standard_moment(values, mean, sd, power) if sd > 0 else 0.0 for power in (3, 4))
    p5, p10, p25, median, p75, p90, p95 = np.percentile(values, (5, 10, 25, 50, 75, 90, 95)).tolist()
    return Intensities(
        float(mean),
        float(sd),
        float(values.min()),
        p5,
        p10,
        p25,
        median,
        p75,
        p90,
        p95,
        float(values.max()),
        skewness=skewness,
        excess_kurtosis=kurtosis - 3 if sd > 0 else 0.0,
    )


def _standard_moment(values: Array, mean: float, sd: float, power: int) -> float:
    """Return the mean of a power of the standardized values, part by part, to bound the memory."""
    parts = (values[start : start + PART_VALUES] for start in range(0, len(values), PART_VALUES))
    return float(sum((((part - mean) / sd) ** power).sum() for part in parts) / len(values))


def solid_part(lesion: Crop, ct: Volume) -> SolidPart:
    """Find the solid part of a lesion.

    The density ("solid", "part-solid", "ground glass") depends on the solid share of the tissue inside the outermost
    layer of pixels, because the rim of every nodule is mixed with lung. Air in cavities and bronchi does not count. The
    smallest nodules are never part-solid.

    Args:
        lesion: The lesion.
        ct: The CT (HU).

    Returns:
        The solid part and the density of the whole lesion.
    """
    hu = ct.array[lesion.slices]
    solid = lesion.mask.array & (hu >= SOLID_HU)
    # In the slice plane only, because the next slice may be 5 mm away.
    core = ndimage.binary_erosion(lesion.mask.array, structure=CONNECTIVITY[1:2])
    small = np.count_nonzero(core) * ct.voxel_volume_ml < DENSITY_CORE_ML
    if small:
        core = lesion.mask.array
    tissue = np.count_nonzero(core & (hu >= AIR_HU_LIMIT))
    share = np.count_nonzero(core & solid) / tissue if tissue else 0.0
    density: Density = "part-solid"
    if share < GROUND_GLASS_SHARE:
        density = "ground glass"
    elif small or share >= SOLID_SHARE:
        density = "solid"
    return SolidPart(float(np.count_nonzero(solid) * ct.voxel_volume_ml), density, lesion.mask.with_array(solid))


def volume_range_ml(
    lesion: Crop, number: int, labels: Volume, probability: Volume, disagreement: Volume, *, threshold: float
) -> tuple[float, float] | None:
    """Estimate the 5th and 95th percentile of a lesion's volume.

    The probabilities of overlapping stacks have the mean ``probability`` and the standard deviation ``disagreement``.
    The stacks overlap, so their errors are assumed to be fully correlated. The lesion is therefore cut at ``threshold``
    twice: with the probability lowered and with it raised by 1.645 standard deviations everywhere. The wider cut grows
    from the lesion into connected voxels within 20 mm that belong to no other lesion.

    Args:
        lesion: The lesion.
        number: Its label in ``labels``.
        labels: The labels of all lesions.
        probability: The mean probability, 0 to 1.
        disagreement: The standard deviation across stacks.
        threshold: The probability at which the mask was cut.

    Returns:
        Both volumes (mL), or None if only one stack covers a slice of the lesion.
    """
    box = grow_box(lesion.box, RANGE_REACH_MM, probability)
    (first, *start), (last, *stop) = box
    inside = lesion.filling(box)
    possible, sure = inside.copy(), 0
    for k in range(first, last, SLAB_SLICES):  # the maps of a large lesion would take ten times the memory of its mask
        slab: Box = (k, start[0], start[1]), (min(k + SLAB_SLICES, last), stop[0], stop[1])
        own = inside[k - first : slab[1][0] - first]
        mean, deviation = (volume.crop(*slab).array.astype(np.float32) for volume in (probability, disagreement))
        if (own.any(axis=(1, 2)) & ~(own & (deviation > 0)).any(axis=(1, 2))).any():
            # A single stack has no standard deviation, which does not mean certainty. Two stacks never agree in all
            # voxels of a slice.
            return None
        free = np.isin(labels.array[slices_of(slab)], (0, number))
        sure += int(np.count_nonzero(own & (mean - LOW_PERCENTILE_SIGMA * deviation >= threshold)))
        possible[k - first : slab[1][0] - first] |= (mean + LOW_PERCENTILE_SIGMA * deviation >= threshold) & free
    most = np.count_nonzero(connected_with(possible, inside))
    return float(sure * probability.voxel_volume_ml), float(most * probability.voxel_volume_ml)


def centroid_lps(mask: Volume) -> Point:
    """Return the mean position of the true voxels, LPS mm."""
    return as_point(mask.index_to_lps(_mean_index(mask.array)))


def confidence(lesion: Crop, probability: Volume, disagreement: Volume | None) -> float:
    """Compute the network's confidence in a lesion, 0 to 1.

    The confidence is the mean over the lesion's voxels of the probability minus the disagreement, clipped at 0. Since
    the disagreement is the standard deviation across stacks, this is the probability one standard deviation below the
    mean. It is not a probability of malignancy.

    Args:
        lesion: The lesion.
        probability: The mean probability across stacks, 0 to 1.
        disagreement: The standard deviation across stacks; None if it is not known.
    """
    sure = lesion.voxels_of(probability).astype(np.float64)
    if disagreement is not None:
        sure -= lesion.voxels_of(disagreement)
    return float(np.clip(sure, 0.0, 1.0).mean())
