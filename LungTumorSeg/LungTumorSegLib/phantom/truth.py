"""A phantom: a synthetic CT and its exact truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.volume import CTVolume, Volume
from ..results.folder import Output, complete_or_nothing
from .shapes import Array, Point


@dataclass(frozen=True)
class PhantomLesion:
    """The truth of one lesion.

    Attributes:
        label: The lesion's label in ``Phantom.tumor``.
        kind: The kind that was specified.
        place: The place that was specified.
        diameter_mm: Diameter of the ball with the volume of the uncut lesion, mm.
        volume_ml: Volume of the lesion's voxels, mL, after organs and the scan's edge have cut it.
        center_lps_mm: Center (x, y, z), LPS mm.
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

    Attributes:
        ct: The CT.
        tumor: uint8 labels 1 ... n, one per lesion, in the order of ``lesions``. A voxel belongs to a lesion if its
            center lies inside.
        lungs: uint8, 1 is the patient's left lung, 2 the right lung. It contains aerated lung with its vessels, bronchi
            and scars. It does not contain lesions, atelectasis, effusion, hilar vessels and main bronchi.
        lesions: The truth of each lesion.
        spine_points_lps: (n, 3), the center line of the vertebral bodies every 2 mm, from foot to head, beyond both
            ends of the scan.
    """

    ct: CTVolume
    tumor: Volume
    lungs: Volume
    lesions: tuple[PhantomLesion, ...]
    spine_points_lps: Array


PHANTOM = "phantom"
"""Name of the group of files that a phantom writes."""

PHANTOM_FILES = ("ct.nii.gz", "tumor.nii.gz", "lungs.nii.gz")


def write_phantom(phantom: Phantom, folder: Path, *, overwrite: bool = False) -> None:
    """Write ``ct.nii.gz``, ``tumor.nii.gz`` and ``lungs.nii.gz`` into ``folder``: all three or none.

    Args:
        phantom: What to write.
        folder: Where to write; it is created if it does not exist.
        overwrite: Replace existing files of these names, whatever they are.

    Raises:
        UnusableInput: A file of one of these names exists that is not a phantom's or has been changed since, and
            ``overwrite`` is False.
        MachineLimit: A file cannot be written.
    """
    from ..io.images import write_volume

    with complete_or_nothing(Output(folder, PHANTOM, overwrite=overwrite)) as private:
        for name, volume in zip(PHANTOM_FILES, (phantom.ct, phantom.tumor, phantom.lungs), strict=True):
            write_volume(volume, private / name)
