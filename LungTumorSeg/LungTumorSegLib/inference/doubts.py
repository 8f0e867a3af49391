"""Reasons to doubt that the network sees all lesions of a CT."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.volume import Volume
from ..weights.manifest import Manifest

COARSER = 1.05
"""Ratio of voxel lengths above which a CT is coarser than the model's grid; a smaller ratio is rounding."""


def resolution_doubts(ct: Volume, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for the user if a CT is coarser than the model's grid, because blurring hides small lesions.

    Args:
        ct: The CT with canonical axes.
        manifest: The manifest of the model.
    """
    if any(own > COARSER * grid for own, grid in zip(ct.spacing, manifest.spacing_mm, strict=True)):
        own, trained = (" x ".join(f"{mm:.3g}" for mm in spacing) for spacing in (ct.spacing, manifest.spacing_mm))
        yield (
            f"The voxels of the CT ({own} mm) are larger than those that the model was trained on ({trained} mm), so "
            "small lesions may be missed. Use thinner slices if available."
        )
