"""Folders of nodule crops from LIDC-IDRI: real nodules to implant into other lungs."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ..core.errors import UnusableInput
from ..io.images import read_volume
from .data_config import NoduleConfig
from .implants import Nodule


def crop_patient(path: Path) -> str:
    """Return the patient of a crop, with which its file name begins (``LIDC-IDRI-0001_R_1.nii.gz``)."""
    return path.name.split("_")[0]


def find_crops(folder: Path) -> list[tuple[Path, Path]]:
    """Return image and mask of each crop: files of the same name in ``image`` and ``mask``.

    A warning names the images without a mask; they are skipped.

    Raises:
        UnusableInput: No crop with a mask is left.
    """
    images = sorted((folder / "image").glob("*.nii.gz"))
    pairs = [(path, folder / "mask" / path.name) for path in images]
    without = [image.name for image, mask in pairs if not mask.is_file()]
    if without:
        logging.getLogger(__name__).warning(
            "These nodule crops of %s have no mask and are skipped: %s", folder, ", ".join(without)
        )
    pairs = [(image, mask) for image, mask in pairs if mask.is_file()]
    if not pairs:
        raise UnusableInput(f"{folder} contains no nodule crops with masks; put them into the folders image and mask.")
    return pairs


def read_nodules(config: NoduleConfig) -> list[Nodule]:
    """Read the crops of a folder that are large enough, with canonical axes, without the patients in ``left_out``.

    Raises:
        UnusableInput: A file cannot be read, or a mask does not lie on its image's grid.
    """
    nodules = []
    for image_path, mask_path in find_crops(Path(config.folder)):
        patient = crop_patient(image_path)
        if patient in config.left_out:
            continue
        image, mask = read_volume(image_path), read_volume(mask_path)
        if not mask.same_grid(image):
            raise UnusableInput(f"The mask {mask_path} does not lie on its image's grid.")
        order = image.canonical_axes()  # some crops run from left to right and from back to front
        image, mask = order.apply(image), order.apply(mask)
        inside = mask.array > 0
        if inside.sum() >= config.min_voxels and inside.sum() * mask.voxel_volume_ml >= config.min_volume_ml:
            nodules.append(Nodule.from_mask(patient, image.array.astype(np.int16), inside, image.spacing))
    return nodules
