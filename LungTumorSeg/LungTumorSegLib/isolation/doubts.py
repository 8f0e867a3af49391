"""What makes the lungs that were found doubtful, each as a sentence for the user.

An isolation that went wrong still gives masks. These checks compare the masks with what is known of every body, so that a wrong side or a
lost lung never goes without a word.
"""

from __future__ import annotations

from ..core.volume import Volume
from .spine import SpineAxis

FACES = {"bottom": (0, 0), "top": (0, -1), "front": (1, 0), "back": (1, -1), "right": (2, 0), "left": (2, -1)}
"""Axis and index of the outermost slice, row or column at each face of an axial LPS grid."""

UNEVEN_RATIO = 3.0
"""Volumes of the two lungs that differ by more than this factor are doubtful: healthy ones differ by up to 1.3, beside a large tumor by
1.9 (4dlung_113)."""


def border_doubts(lungs: Volume) -> list[str]:
    """Say where the lungs (bool, axial LPS) reach the border of the CT."""
    cut = cut_faces(lungs)
    return [f"The lungs reach beyond the CT ({', '.join(cut)}); what lies outside it is not seen."] if cut else []


def cut_faces(mask: Volume) -> list[str]:
    """The faces of the image, of ``FACES``, that a mask (bool, axial LPS) touches."""
    names = ("top", "bottom", "front", "back", "right", "left")
    return [name for name in names if mask.array.take(FACES[name][1], axis=FACES[name][0]).any()]


def spine_doubts(axis: SpineAxis) -> list[str]:
    """Say why left and right are unknown, where the spine is not at the back of the body."""
    if axis.seen == "front":
        return [
            "The spine lies at the front of this CT: the orientation in its header is likely wrong (a prone patient stored as supine, for "
            "example). Left and right are unknown; check the orientation."
        ]
    if axis.seen == "nowhere":
        return [
            "No spine was recognized in this CT, so left and right lung cannot be told apart and the side of each lesion is unknown. "
            "Choose a CT that shows the whole chest."
        ]
    return []


def uneven_doubts(left_ml: float, right_ml: float) -> list[str]:
    """Say that left and right lung (mL) differ beyond reason."""
    small, large = sorted([(left_ml, "left"), (right_ml, "right")])
    if large[0] <= UNEVEN_RATIO * small[0]:
        return []
    return [
        f"The {large[1]} lung measures {large[0]:.0f} mL and the {small[1]} lung {small[0]:.0f} mL: check both lungs, and the sides of the "
        "lesions."
    ]
