"""Which crops a training sees, and how often they look as on another scanner."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic.dataclasses import dataclass

from ..inference.stack_length import STACK_SLICES
from .settings import (
    STRICT,
    Count,
    InPlane,
    NotNegative,
    OpenShare,
    Share,
)

Augmentation = Literal["paper", "none"]
AugmentationPart = Literal["flip", "rotation", "deformation", "contrast", "noise", "blur"]


@dataclass(frozen=True, config=STRICT)
class AppearanceConfig:
    """How often a sample looks as on another scanner; see ``appearance``."""

    contrast: Share = 0.5
    """Share of the samples in which vessels and heart have more or less contrast agent."""
    contrast_factor: tuple[NotNegative, NotNegative] = (0.1, 1.2)
    """Range of the factor of the contrast agent; 0 is an unenhanced scan."""
    exhalation: Share = 0.0
    """Share of the samples with the denser lung of expiration."""
    kernel: Share = 0.0
    """Share of the samples with another reconstruction kernel; half of them smoother, half of them sharper."""
    noise: Share = 0.0
    """Share of the samples with dose noise, which has the spectrum of CT noise."""
    thick_slices: Share = 0.0
    """Share of the samples with slices of 1 to 8 mm; those thinner than the grid's stay as they are."""
    truncation: Share = 0.0
    """Share of the samples that the edge of the field of view cuts."""


@dataclass(frozen=True, config=STRICT)
class SamplingConfig:
    """Which crops the network sees. The four shares ``implants`` to ``hard_sites`` are normalized to a sum of 1."""

    crop: tuple[Count, InPlane, InPlane] = (STACK_SLICES, 96, 96)
    """Size (slices, rows, columns); as many slices as a stack has, and multiples of 8 rows and columns."""
    implants: NotNegative = 0.50
    """Share of the crops with an implanted lesion."""
    lesions: NotNegative = 0.15
    """Share of the crops at a labeled lesion."""
    lung: NotNegative = 0.15
    """Share of the crops anywhere in the lungs."""
    hard_sites: NotNegative = 0.20
    """Share of the crops at mined sites (false or missed tumor)."""
    real_nodules: Share = 0.40
    """Share of the implants that are real nodules; the others are procedural."""
    large: Share = 0.22
    """Share of the implants with a radius above 28 mm."""
    small: Share = 0.0
    """Share of the implants with a radius below 8 mm, in addition to those among the others."""
    masses: Share = 0.0
    """Share of the samples with a mass of 40 to 120 mm at diaphragm, mediastinum or chest wall, half of them with
    atelectasis behind; the four shares above divide the rest."""
    extra: OpenShare = 0.15
    """Probability of one more small lesion in the lung of any sample, and again after each one; below 1."""
    real_backgrounds: Share = 0.6
    """Share of the samples that come from real CTs; the others come from phantoms."""
    augmentation: Augmentation = "paper"
    """``paper`` (rotation, flip, elastic deformation, contrast, noise, blur) or ``none``."""
    augmentation_without: tuple[AugmentationPart, ...] = ()
    """Parts of ``paper`` that are left out, to learn what each of them is worth; ``rotation`` includes zooming."""
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    """How often a sample looks as on another scanner."""
