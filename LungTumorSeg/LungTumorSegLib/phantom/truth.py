"""A phantom: a synthetic CT and its exact truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.csv_tables import write_table
from ..core.json_files import write_json
from ..core.volume import Array, CTVolume, Grid, Point, Volume
from ..results.folder import complete_or_nothing
from ..results.replaceable_files import Output


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
        lobes: uint8, the number of the lobe in ``core.lobes``, counted from 1, in aerated lung and in lesions
            within; None if the options did not ask for lobes.
    """

    ct: CTVolume
    tumor: Volume
    lungs: Volume
    lesions: tuple[PhantomLesion, ...]
    spine_points_lps: Array
    lobes: Volume | None = None


FOLLOW_UP_LESION_STATUS = {
    "stable": "stable",
    "grown": "grown",
    "shrunk": "shrunk",
    "gone": "gone",
    "split": "split",
    "cavitated": "stable",
}
"""True status of a lesion by its fate; a lesion that becomes cavitary keeps its volume."""


@dataclass(frozen=True)
class TrackedPhantomLesion:
    """What became of one lesion between two scans.

    Attributes:
        fate: "stable", "grown", "shrunk", "gone", "split", "cavitated" or "new".
        status: The status that a comparison should report.
        earlier: Labels in the earlier scan; none if the lesion is new.
        later: Labels in the later scan; none if the lesion is gone.
    """

    fate: str
    status: str
    earlier: tuple[int, ...]
    later: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FollowUpPhantom:
    """A phantom on two days.

    Attributes:
        earlier: The earlier scan and its truth.
        later: The later scan and its truth.
        lesions: What became of each lesion.
        landmarks_lps_mm: (n, 2, 3), corresponding points inside the lungs in the earlier and the later scan, LPS mm.
        displacement: (z, y, x, 3), mm: added to a point of the later scan, it gives the point of the earlier scan; and
            the grid on which it is known.
        days: Time between the scans, days.
    """

    earlier: Phantom
    later: Phantom
    lesions: tuple[TrackedPhantomLesion, ...]
    landmarks_lps_mm: Array
    displacement: tuple[Array, Grid]
    days: int


PHANTOM = "phantom"
"""Name of the group of files that a phantom writes."""

PHANTOM_FILES = ("ct.nii.gz", "tumor.nii.gz", "lungs.nii.gz")
LOBES_FILE = "lobes.nii.gz"
"""Name of the file of the lobes, which is written only if the phantom has them."""


def write_phantom(phantom: Phantom, folder: Path, *, overwrite: bool = False) -> None:
    """Write ``ct.nii.gz``, ``tumor.nii.gz``, ``lungs.nii.gz`` and any ``lobes.nii.gz`` into ``folder``: all or none.

    Args:
        phantom: What to write.
        folder: Where to write; it is created if it does not exist.
        overwrite: Replace existing files of these names, whatever they are.

    Raises:
        UnusableInput: A file of one of these names exists that is not a phantom's or has been changed since, and
            ``overwrite`` is False.
        MachineLimit: A file cannot be written.
    """
    with complete_or_nothing(Output(folder, PHANTOM, overwrite=overwrite)) as private:
        _write_scan(phantom, private)


def _write_scan(phantom: Phantom, folder: Path, prefix: str = "") -> None:
    """Write the CT of a phantom and its masks."""
    from ..io.images import write_volume  # imports SimpleITK, and others need only the names of files from this module

    for name, volume in zip(PHANTOM_FILES, (phantom.ct, phantom.tumor, phantom.lungs), strict=True):
        write_volume(volume, folder / f"{prefix}{name}")
    if phantom.lobes is not None:
        write_volume(phantom.lobes, folder / f"{prefix}{LOBES_FILE}")


LATER_PREFIX = "later-"
TRUTH_FILE, LANDMARKS_FILE, DISPLACEMENT_FILE = "truth.json", "landmarks.csv", "displacement.nrrd"
FOLLOW_UP_FILES = (
    *PHANTOM_FILES,
    *(f"{LATER_PREFIX}{name}" for name in PHANTOM_FILES),
    TRUTH_FILE,
    LANDMARKS_FILE,
    DISPLACEMENT_FILE,
)
"""Names of the files of a phantom with a follow-up."""

LANDMARK_COLUMNS = tuple(f"{when}_{axis}_lps_mm" for when in ("earlier", "later") for axis in "xyz")


def write_follow_up_phantom(phantom: FollowUpPhantom, folder: Path, *, overwrite: bool = False) -> None:
    """Write both scans with their truth into ``folder``: all files or none.

    The later scan's files begin with ``later-``. ``truth.json`` holds the days between the scans and what became of
    each lesion, ``landmarks.csv`` corresponding points, and ``displacement.nrrd`` the displacement in mm (LPS) from
    later to earlier points.

    Args:
        phantom: What to write.
        folder: Where to write; it is created if it does not exist.
        overwrite: Replace existing files of these names, whatever they are.

    Raises:
        UnusableInput: A file of one of these names exists that is not a phantom's or has been changed since, and
            ``overwrite`` is False.
        MachineLimit: A file cannot be written.
    """
    import SimpleITK as sitk  # for the same reason as in _write_scan

    from ..io.images import set_simpleitk_geometry, write_image

    with complete_or_nothing(Output(folder, PHANTOM, overwrite=overwrite)) as private:
        _write_scan(phantom.earlier, private)
        _write_scan(phantom.later, private, LATER_PREFIX)
        vectors, grid = phantom.displacement
        image = sitk.GetImageFromArray(vectors, isVector=True)
        set_simpleitk_geometry(image, grid)
        write_image(image, private / DISPLACEMENT_FILE)
        write_table(
            private / LANDMARKS_FILE, LANDMARK_COLUMNS, phantom.landmarks_lps_mm.reshape(-1, 6).round(3).tolist()
        )
        truth = {"days": phantom.days, "lesions": [_as_json(lesion, phantom) for lesion in phantom.lesions]}
        write_json(private / TRUTH_FILE, truth)


def _as_json(lesion: TrackedPhantomLesion, phantom: FollowUpPhantom) -> dict[str, Any]:
    return {
        "fate": lesion.fate,
        "status": lesion.status,
        "earlier_labels": list(lesion.earlier),
        "later_labels": list(lesion.later),
        "volume_earlier_ml": round(sum(phantom.earlier.lesions[label - 1].volume_ml for label in lesion.earlier), 4),
        "volume_later_ml": round(sum(phantom.later.lesions[label - 1].volume_ml for label in lesion.later), 4),
    }
