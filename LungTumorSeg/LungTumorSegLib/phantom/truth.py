"""What a phantom is: a CT and its exact truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.volume import CTVolume, Volume
from ..results.folder import Output, complete_or_nothing
from .shapes import Array, Point


@dataclass(frozen=True)
class PhantomLesion:
    """The truth of one lesion: its ``label`` in ``Phantom.tumor``, what was asked for, and what it became.

    diameter_mm: of the ball of the uncut lesion's volume; volume_ml: of its voxels, after organs and the scan's edge cut it.
    """

    label: int
    kind: str
    place: str
    diameter_mm: float
    volume_ml: float
    center_lps_mm: Point


@dataclass(frozen=True, eq=False)
class Phantom:
    """A procedural CT and its truth, all on one grid; points are LPS mm.

    tumor: uint8 labels 1 ... n, one a lesion, in the order of ``lesions``; a voxel belongs to a lesion if its center lies inside.
    lungs: uint8, 1 = the patient's left, 2 = right: aerated lung with its vessels, bronchi and scars, without lesions, collapse and
        effusion, and without the hilar vessels and main bronchi.
    spine_points_lps: (n, 3), the vertebral bodies' center line every 2 mm, from foot to head, beyond both ends of the scan.
    """

    ct: CTVolume
    tumor: Volume
    lungs: Volume
    lesions: tuple[PhantomLesion, ...]
    spine_points_lps: Array


PHANTOM = "phantom"
"""The group of a phantom's files."""

PHANTOM_FILES = ("ct.nii.gz", "tumor.nii.gz", "lungs.nii.gz")


def write_phantom(phantom: Phantom, folder: Path, *, overwrite: bool = False) -> None:
    """Write ``ct.nii.gz``, ``tumor.nii.gz`` and ``lungs.nii.gz`` into ``folder``, which is made if need be.

    Raises UnusableInput if a file of that name would be replaced that is no phantom's, or that was changed since, unless ``overwrite``
    allows it; MachineLimit if one cannot be written. Then none is.
    """
    from ..io.images import write_volume

    with complete_or_nothing(Output(folder, PHANTOM, overwrite=overwrite)) as private:
        for name, volume in zip(PHANTOM_FILES, (phantom.ct, phantom.tumor, phantom.lungs), strict=True):
            write_volume(volume, private / name)
