"""Reasons to doubt the lungs that were found, each as a sentence for the user.

A failed isolation still returns masks. These checks compare the masks with what is known of every body, so that the
user is warned of a wrong side or a missing lung.
"""

from __future__ import annotations

import numpy as np

from ..core.volume import Mask, Volume
from .body import OUTSIDE_AIR_HU, TISSUE_HU
from .body_size import width_and_depth_mm
from .lungs import LUNG_HU
from .morphology import dilate, label_components, open_
from .spine import BONE_HU, SpineAxis

FACES = {"bottom": (0, 0), "top": (0, -1), "front": (1, 0), "back": (1, -1), "right": (2, 0), "left": (2, -1)}
"""Axis and index of the outermost slice, row or column at each face of an axial LPS grid."""

UNEVEN_RATIO = 3.0
"""Ratio of the volumes of the two lungs above which they are doubtful.

Healthy lungs differ by a factor of up to 1.3; beside a large tumor, the factor is 1.9 (4dlung_113).
"""


LEAST_ADULT_LUNGS_ML = 1000.0
"""Smallest volume of both lungs of an adult, mL.

They hold 3000 to 6000 mL, and more than 1000 mL even after exhalation.
"""

ADULT_WIDTH_MM, ADULT_DEPTH_MM = 240.0, 165.0
"""Smallest width and depth of an adult's body, mm.

The smallest body among the CTs used for development measures 263 x 185 mm.
"""

PART_SHARE, PART_ML = 0.1, 50.0
"""Share of a lung's volume, and volume (mL), from which a second component of the lung is doubtful.

A lung is connected unless disease separates its parts.
"""

MISSED_ML = 100.0
"""Volume from which air of lung density in the trunk, but in neither lung, is doubtful, mL."""

SHELL_RADIUS_MM = 5.0
"""Half the thickness below which tissue encloses nothing, mm, such as shells of couches and cloth."""

RIM_MM = 3.0
"""Half the thickness below which air is the blurred rim of a lung or of bowel gas, mm."""

ROOM_SHARE = 0.5
"""Share of one lung's reach from the spine that the image must show on the other side for a lung to be missing there.

The image shows 1.0 of it where it ends within the body on both sides (cip_ct64).
"""


def doubts(
    ct: Volume,
    body: Volume,
    left: Volume,
    right: Volume,
    *,
    airways: Volume,
    axis: SpineAxis,
    unit: float = 1.0,
    upside_down: bool = False,
) -> tuple[str, ...]:
    """Return all reasons to doubt the lungs, as sentences for the user.

    Args:
        ct: The CT (HU, axial LPS).
        body: The body (bool); all masks lie on the grid of the CT.
        left: The left lung.
        right: The right lung.
        airways: The lumen of trachea and main bronchi.
        axis: The spine axis.
        unit: The factor for lengths that belongs to the body (see ``body_size``): 1 for adults, less for children.
        upside_down: Whether the trachea divides toward the top.
    """
    lungs = left.with_array(left.array | right.array)
    cut = cut_faces(lungs)
    left_ml, right_ml = (lung.mask_ml for lung in (left, right))
    found = upside_down_doubts() if upside_down else border_doubts(cut)
    found += spine_doubts(axis, float(ct.array.max()))
    if not cut and (unit < 1 or is_adult(body)):
        found += small_doubts(left_ml + right_ml, unit)
    if axis.seen == "back":
        if not _out_of_view(body, lungs, axis, "left" if left_ml < right_ml else "right"):
            found += uneven_doubts(left_ml, right_ml)
        found += [doubt for name, lung in (("left", left), ("right", right)) for doubt in parts_doubts(name, lung)]
    return (*found, *missed_doubts(ct, lungs, airways))


def is_adult(body: Volume) -> bool:
    """Return whether a body (bool, axial LPS) is as large as an adult's; one that the image cuts off may not be."""
    width_mm, depth_mm = width_and_depth_mm(body)
    return width_mm >= ADULT_WIDTH_MM and depth_mm >= ADULT_DEPTH_MM


def small_doubts(lungs_ml: float, unit: float) -> list[str]:
    """Warn if both lungs together (mL) are too small for a body with this factor for lengths."""
    if lungs_ml >= LEAST_ADULT_LUNGS_ML * unit**3:
        return []
    body = "an adult-sized body" if unit == 1 else "a body of this size"
    return [
        f"Both lungs together measure only {lungs_ml:.0f} mL in {body}, so parts of them may be missing. Check the "
        "lungs before you rely on the lesions."
    ]


def parts_doubts(name: str, lung: Volume) -> list[str]:
    """Warn if one lung (bool) was found in separate components."""
    labels, count = label_components(lung.array)
    sizes_ml = np.sort(np.bincount(labels.ravel(), minlength=count + 1)[1:])[::-1] * lung.voxel_volume_ml
    large = sizes_ml[(sizes_ml >= PART_ML) & (sizes_ml >= PART_SHARE * sizes_ml.sum())]
    if len(large) < 2:
        return []
    volumes = ", ".join(f"{size:.0f} mL" for size in large)
    return [
        f"The {name} lung consists of {len(large)} separate parts ({volumes}). Lung between them may be missing, or "
        "one of them may be bowel gas. Check the lungs."
    ]


def missed_doubts(ct: Volume, lungs: Volume, airways: Volume) -> list[str]:
    """Warn if the trunk contains air of lung density that is in neither lung.

    The trunk is searched again here, as the space with thick tissue on all four sides, because the body found before
    may lack parts of it.
    """
    wall = open_(ct.array > TISSUE_HU, SHELL_RADIUS_MM, ct.spacing, planar=True)
    air = (ct.array > OUTSIDE_AIR_HU) & (ct.array < LUNG_HU) & ~lungs.array & _enclosed(wall)
    air &= ~dilate(lungs.array | airways.array, RIM_MM, ct.spacing, planar=True)
    missed_ml = float(np.count_nonzero(open_(air, RIM_MM, ct.spacing, planar=True))) * ct.voxel_volume_ml
    if missed_ml < MISSED_ML:
        return []
    return [
        f"The trunk holds {missed_ml:.0f} mL of air with the density of lung that belongs to neither lung, so parts "
        "of the lungs may be missing. Check the lungs before you rely on the lesions."
    ]


def _enclosed(wall: Mask) -> Mask:
    """Return where ``wall`` (slices, rows, columns) lies in front, behind, to the right and to the left."""
    inside = np.ones_like(wall)
    for axis in (1, 2):
        inside &= np.maximum.accumulate(wall, axis=axis)
        inside &= np.flip(np.maximum.accumulate(np.flip(wall, axis), axis=axis), axis)
    return inside


def _out_of_view(body: Volume, lungs: Volume, axis: SpineAxis, side: str) -> bool:
    """Return whether the image ends within the body on one side, so near to the spine that no lung fits in between.

    A lung that is missing on that side lies outside the image.
    """
    face, index = FACES[side]
    with_lung = lungs.array.any(axis=(1, 2))
    if body.array[with_lung].take(index, axis=face).any(axis=1).mean() <= 0.5:
        return False
    spine = float(np.median(axis.columns(body)[with_lung]))
    columns = np.flatnonzero(lungs.array.any(axis=(0, 1)))
    last = lungs.shape[2] - 1
    room, reach = (last - spine, spine - columns[0]) if side == "left" else (spine, columns[-1] - spine)
    return bool(room < ROOM_SHARE * reach)


def border_doubts(cut: list[str]) -> list[str]:
    """Warn of the faces of the CT at which the lungs are cut."""
    return (
        [
            f"The CT cuts off the lungs ({', '.join(cut)}), so lesions beyond its edge cannot be found. Use a CT that "
            "shows the whole chest if available."
        ]
        if cut
        else []
    )


def cut_faces(mask: Volume) -> list[str]:
    """Return the names of the image faces (``FACES``) that a mask (bool, axial LPS) touches."""
    names = ("top", "bottom", "front", "back", "right", "left")
    return [name for name in names if mask.array.take(FACES[name][1], axis=FACES[name][0]).any()]


def spine_doubts(axis: SpineAxis, highest_hu: float) -> list[str]:
    """Explain why left and right are unknown if the spine is not at the back of the body.

    Args:
        axis: The spine axis.
        highest_hu: The highest value of the CT, HU.
    """
    if axis.seen == "front":
        return [
            "The spine lies at the front of this CT: the orientation in its header is likely wrong (a prone patient "
            "stored as supine, for "
            "example). Left and right are unknown; check the orientation."
        ]
    if axis.seen == "nowhere" and highest_hu <= BONE_HU:
        return [
            f"LungTumorSeg found no spine in this CT, in which no voxel exceeds {highest_hu:.0f} HU, although bone "
            "does. It cannot distinguish the left from the right lung, and the side of each lesion is unknown. Choose "
            "a CT that shows the whole chest and whose values were not clipped."
        ]
    if axis.seen == "nowhere":
        return [
            "LungTumorSeg found no spine in this CT, so it cannot distinguish the left from the right lung, and the "
            "side of each lesion is unknown. Choose a CT that shows the whole chest."
        ]
    return []


def upside_down_doubts() -> list[str]:
    """Explain why left and right are unknown if head and feet are exchanged; faces of the CT have no name then."""
    return [
        "The trachea divides toward the top of this CT: the head-to-foot direction in its header is likely wrong. Left "
        "and right are unknown; export the CT again from its source."
    ]


def uneven_doubts(left_ml: float, right_ml: float) -> list[str]:
    """Warn if the volumes of left and right lung (mL) differ too much."""
    small, large = sorted([(left_ml, "left"), (right_ml, "right")])
    if large[0] <= UNEVEN_RATIO * small[0]:
        return []
    return [
        f"The {large[1]} lung measures {large[0]:.0f} mL and the {small[1]} lung {small[0]:.0f} mL. Check both lungs "
        "and the side of each lesion."
    ]
