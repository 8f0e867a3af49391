"""What SimpleITK reads, in the terms of the project."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from LungTumorSegLib.core.volume import Array


def from_simpleitk(image: sitk.Image) -> tuple[Array, Array]:
    """Return the voxels and the affine of a 3D SimpleITK image.

    Returns:
        An array (slice, row, column), with components on the last axis if there are several, and the 4 x 4 affine to
        LPS mm.
    """
    affine = np.eye(4)
    direction = np.reshape(image.GetDirection(), (3, 3))
    affine[:3, :3] = (direction * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), affine
