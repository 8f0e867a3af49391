"""The lungs by which lesions are located: drawn in the segmentation, or isolated from the CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .. import isolation
from ..core.crops import place, whole
from ..core.errors import UnusableInput
from ..core.events import ProgressCallback, ignore_progress
from ..core.selection import NamedSegment, lung_segments
from ..core.volume import CTVolume, Point, Volume
from ..isolation.doubts import uneven_doubts
from ..isolation.hounsfield import value_doubts
from .measurements import centroid_lps

NO_LUNGS = "The CT shows too little lung, so the side and the location of each lesion are unknown."


@dataclass(frozen=True, eq=False)
class FoundLungs:
    """What is known of the lungs.

    Attributes:
        pair: Left and right lung (bool) on the CT's grid; None if their sides are unknown.
        warnings: Sentences for the user about what makes the lungs doubtful.
        carina_lps: The carina, LPS mm; None if it is not known.
        body: The body (bool), on any grid; None if it was not looked for.
    """

    pair: tuple[Volume, Volume] | None
    warnings: tuple[str, ...] = ()
    carina_lps: Point | None = None
    body: Volume | None = None

    @classmethod
    def of(cls, found: isolation.LungIsolation) -> FoundLungs:
        """Return the lungs of an isolation, without a guess of their sides."""
        pair = (found.left_lung, found.right_lung) if found.sides_known else None
        return cls(pair, found.warnings, found.carina_lps, found.body)


def find_lungs(
    ct: CTVolume, segments: Sequence[NamedSegment], on_progress: ProgressCallback = ignore_progress
) -> FoundLungs:
    """Take the lungs from the segmentation, or else isolate them.

    Args:
        ct: The CT (HU).
        segments: The segments of a segmentation of the CT.
        on_progress: Receives each finished step of the isolation.

    Returns:
        The lungs, with all reasons to doubt them.

    Raises:
        UnusableInput: A lung segment does not lie on the voxels of the CT.
    """
    drawn = drawn_lungs(ct, segments)
    if drawn is not None:
        body, carina_lps = isolation.body_and_carina(ct)
        return replace(drawn, body=body, carina_lps=carina_lps)
    try:
        return FoundLungs.of(isolation.isolate_lungs(ct, on_progress))
    except UnusableInput:  # a CT cropped to a lesion can be measured without a side
        return FoundLungs(None, (*value_doubts(ct), NO_LUNGS))


def drawn_lungs(ct: CTVolume, segments: Sequence[NamedSegment]) -> FoundLungs | None:
    """Take the lungs from the segmentation, without looking for the carina; None if it does not contain both lungs.

    Raises:
        UnusableInput: A lung segment does not lie on the voxels of the CT.
    """
    drawn = lung_segments(segments)
    if drawn is None:
        return None
    left, right = (place(mask, ct, f"The {side} lung") for side, mask in zip(("left", "right"), drawn, strict=True))
    pair = whole(left, ct), whole(right, ct)
    return FoundLungs(pair, (*value_doubts(ct), *drawn_doubts(*pair)))


def drawn_doubts(left: Volume, right: Volume) -> list[str]:
    """Return the reasons to doubt lungs (bool) that the segmentation contains."""
    found = uneven_doubts(*(lung.mask_ml for lung in (left, right)))
    if left.array.any() and right.array.any() and centroid_lps(left)[0] < centroid_lps(right)[0]:
        found.append(
            "The segment of the left lung lies on the right side of the CT and that of the right lung on its left. "
            "Either their names are exchanged or the orientation of the CT is wrong, so check the side of each lesion."
        )
    return found
