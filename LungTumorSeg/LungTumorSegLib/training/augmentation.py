"""The six augmentations of the paper (Najeeb & Bhuiyan 2022), computed on the fly by MONAI.

They are rotation, horizontal flip, elastic deformation, contrast, noise and blur. A stack goes through MONAI's 2D
transforms with its slices as channels. Every slice is rotated and deformed by the same field, as in the published
pipeline, and a stack costs little more than a slice.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from ..core.errors import MachineLimit
from ..core.volume import Array

IMAGE, LABEL = "image", "label"

ROTATION_RAD = 0.26
"""Largest in-plane rotation, radians: 15 degrees, because patients lie slightly rotated."""

ZOOM = 0.15
ELASTIC_SPACING, ELASTIC_MAGNITUDE = (20, 20), (1.0, 2.0)
"""Distance between control points and range of their displacement, pixels (published 2D training script)."""

GAMMA = (0.75, 1.35)
NOISE_SD = 0.03
"""Largest standard deviation of the noise in window units: 42 HU at a window of 1400 HU."""

BLUR_SIGMA = (0.4, 1.0)


class Augmentation(Protocol):
    """A random change of a sample.

    It is called with an image (float32, 0 to 1), a label (uint8), both (slice, row, column), and a seed. It returns
    both changed, with the same shapes and types.
    """

    def __call__(self, image: Array, label: Array, seed: int) -> tuple[Array, Array]:
        """Return image and label changed at random by ``seed``."""
        ...


def no_augmentation(image: Array, label: Array, seed: int) -> tuple[Array, Array]:
    """Return the sample unchanged."""
    return image, label


class PaperAugmentation:
    """The six augmentations, each with its own probability.

    Args:
        without: Names of those that are left out; see ``sampling_config.AugmentationPart``.

    Raises:
        MachineLimit: MONAI is not installed.
    """

    def __init__(self, without: Collection[str] = ()) -> None:
        try:
            from monai.transforms.compose import Compose
            from monai.transforms.intensity.dictionary import (
                RandAdjustContrastd,
                RandGaussianNoised,
                RandGaussianSmoothd,
            )
            from monai.transforms.spatial.dictionary import Rand2DElasticd, RandAffined, RandFlipd
        except ImportError as error:
            raise MachineLimit(
                "This augmentation needs MONAI; pip install 'lungtumorseg[train]' or set sampling.augmentation: none."
            ) from error
        both, image, modes = [IMAGE, LABEL], [IMAGE], ["bilinear", "nearest"]
        parts = {
            "flip": RandFlipd(both, prob=0.5, spatial_axis=1),
            "rotation": RandAffined(
                both,
                prob=0.5,
                rotate_range=ROTATION_RAD,
                scale_range=(ZOOM, ZOOM),
                mode=modes,
                padding_mode="zeros",
            ),
            "deformation": Rand2DElasticd(
                both, ELASTIC_SPACING, ELASTIC_MAGNITUDE, prob=0.15, mode=modes, padding_mode="zeros"
            ),
            "contrast": RandAdjustContrastd(image, prob=0.25, gamma=GAMMA),
            "noise": RandGaussianNoised(image, prob=0.25, std=NOISE_SD),
            "blur": RandGaussianSmoothd(image, sigma_x=BLUR_SIGMA, sigma_y=BLUR_SIGMA, prob=0.15),
        }
        self._transform = Compose([part for name, part in parts.items() if name not in without])

    def __call__(self, image: Array, label: Array, seed: int) -> tuple[Array, Array]:
        """Return image and label changed at random by ``seed``; the image stays within 0 to 1."""
        self._transform.set_random_state(seed % 2**32)
        made = self._transform({IMAGE: torch.from_numpy(image), LABEL: torch.from_numpy(label.astype(np.float32))})
        return _array(made[IMAGE], np.float32).clip(0, 1), _array(made[LABEL], np.uint8)


def build_augmentation(name: str, without: Collection[str] = ()) -> Augmentation:
    """Return the augmentation ``paper``, without some of its parts, or ``none``.

    Raises:
        MachineLimit: ``paper`` is requested and MONAI is not installed.
    """
    return PaperAugmentation(without) if name == "paper" else no_augmentation


def _array(tensor: torch.Tensor, kind: npt.DTypeLike) -> Array:
    return np.asarray(torch.as_tensor(tensor).numpy(), dtype=kind)
