"""One drawn patient (sizes, posture, blood, inspiration) and the map from the model chest to this patient.

The anatomy is written once, for a model chest in LPS mm (x left, y back, z head). Its origin is in the middle of the
chest at the level of the carina. A patient is that chest, scaled, with the spine bent sideways.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..core.volume import Array, as_point
from .options import ARMS, COUCHES, PhantomOptions
from .shapes import Coordinates, profile

T = TypeVar("T")

DISTRACTOR_SHARES = {"collapse": 0.08, "effusion": 0.12, "scars": 0.35}
"""Share of drawn patients with each distractor; the other distractors are present only if the options name them."""

ACCESSORY_SHARES = {"azygos": 0.01, "inferior": 0.15, "left_horizontal": 0.12}
"""Share of drawn patients with each accessory fissure (Aziz et al. 2004; see ``fissures``)."""

SPINE_DEPTH_MM = (
    (120, 22),
    (90, 30),
    (60, 40),
    (20, 48),
    (-20, 51),
    (-60, 51),
    (-100, 47),
    (-140, 41),
    (-180, 33),
    (-240, 24),
)
"""Pairs (z, y), mm, of the centers of the vertebral bodies in the model chest: the thoracic kyphosis."""

UNENHANCED_BLOOD_HU = 42.0
"""HU of blood without contrast agent (normal hematocrit, 120 kVp)."""

SCOLIOSIS_CENTER_MM, SCOLIOSIS_LENGTH_MM = -40.0, 300.0
"""Height of the main curve's apex in the model and wavelength of the curve, mm."""


@dataclass(frozen=True)
class Patient:
    """What differs between patients; lengths in mm, intensities in HU.

    Attributes:
        scale: Factors along (x, y, z) from the model chest to this patient.
        scoliosis_mm: Largest sideways excursion of the spine, positive to the left.
        fat_mm: Thickness of the subcutaneous fat.
        breasts: Size of the breasts, 0 to 1.
        inspiration_mm: Distance by which the diaphragm stands lower than at mean inspiration.
        heart_scale: Factor on the size of the heart.
        arms: One of ``ARMS``.
        couch: One of ``COUCHES``.
        blood_hu: HU of arterial blood.
        venous_hu: HU of venous blood.
        lung_hu: HU of normal parenchyma in the middle of the chest (y = 0).
        gravity_hu_per_mm: Increase of the parenchyma's HU per mm toward the back.
        emphysema: Share of the lung that is destroyed.
        bone_scale: Factor on the HU of bone.
        noise_hu: Standard deviation of the noise.
        sharpness_mm: Standard deviation of the in-plane blur.
        blanket: Whether a cloth lies on the patient.
        leads: Whether electrode wires lie on the patient.
        circle: Whether nothing is reconstructed outside the circle in the field of view.
        distractors: Names of the disease that is not tumor.
        lobes: Whether the fissures lie where they do in adults, and the lobes are labeled.
        fissure_gaps: Share of each fissure that is missing; None if it is drawn.
        accessory_fissures: Names of the accessory fissures.
    """

    scale: tuple[float, float, float]
    scoliosis_mm: float
    fat_mm: float
    breasts: float
    inspiration_mm: float
    heart_scale: float
    arms: str
    couch: str
    blood_hu: float
    venous_hu: float
    lung_hu: float
    gravity_hu_per_mm: float
    emphysema: float
    bone_scale: float
    noise_hu: float
    sharpness_mm: float
    blanket: bool
    leads: bool
    circle: bool
    distractors: tuple[str, ...]
    lobes: bool
    fissure_gaps: float | None
    accessory_fissures: tuple[str, ...]

    def spine_shift(self, z_model: Array) -> Array:
        """Return the sideways excursion of the spine.

        Args:
            z_model: Heights in the model chest, mm, in any shape.

        Returns:
            Excursions, mm, positive to the left, in the same shape.
        """
        phase = 2 * np.pi * (z_model - SCOLIOSIS_CENTER_MM) / SCOLIOSIS_LENGTH_MM
        return np.asarray(self.scoliosis_mm * np.cos(phase) * np.exp(-(((z_model - SCOLIOSIS_CENTER_MM) / 150) ** 2)))

    def _shift(self, y_model: Array, z_model: Array) -> Array:
        """Return the sideways shift at model coordinates, mm, positive to the left.

        It is the spine's full excursion at the back and a quarter of it at the sternum.
        """
        return self.spine_shift(z_model) * np.clip(0.7 + y_model / 140, 0.25, 1.0)

    def to_model(self, x: Array, y: Array, z: Array) -> Coordinates:
        """Convert coordinates of this patient to those of the model chest: the inverse of ``to_lps``.

        Args:
            x: LPS mm; the three arrays broadcast against each other.
            y: LPS mm.
            z: LPS mm.

        Returns:
            Model coordinates x, y and z, mm, which broadcast against each other.
        """
        y_model, z_model = y / np.float32(self.scale[1]), z / np.float32(self.scale[2])
        shift = self._shift(y_model, z_model).astype(np.float32)
        return (x - shift) / np.float32(self.scale[0]), y_model, z_model

    def to_lps(self, points: Array) -> Array:
        """Convert points of the model chest (n, 3), mm, to points of this patient (n, 3), LPS mm."""
        points = np.atleast_2d(np.asarray(points, dtype=float))
        moved = points * self.scale
        moved[:, 0] += self._shift(points[:, 1], points[:, 2])
        return np.asarray(moved)

    def spine_point(self, z_model: float) -> Array:
        """Return the center (3,) of the vertebral body at the model height ``z_model`` (mm), LPS mm."""
        depth = float(profile(np.asarray(z_model), SPINE_DEPTH_MM))
        return np.asarray(self.to_lps(np.array([[0.0, depth, z_model]]))[0])


def stream(seed: int, topic: str) -> np.random.Generator:
    """Return the random generator of one topic.

    Each topic has its own random numbers, so a change in one topic (other lesions, for example) leaves the rest of the
    patient unchanged.

    Args:
        seed: The phantom's seed.
        topic: Any name, such as "lungs".
    """
    return np.random.default_rng([seed, zlib.crc32(topic.encode())])


def draw_patient(seed: int, options: PhantomOptions) -> Patient:
    """Draw the patient of a seed.

    Every value is drawn, even those that the options replace, so that one option does not change the others.

    Args:
        seed: The phantom's seed.
        options: Supplies the values that are fixed.

    Returns:
        The patient.
    """
    rng = stream(seed, "patient")
    female = bool(rng.random() < 0.5)
    size = rng.normal(1.0, 0.045) + (-0.03 if female else 0.03)
    scale = np.clip(size * rng.normal(1, 0.025, 3), 0.82, 1.15)
    unenhanced = UNENHANCED_BLOOD_HU + float(rng.uniform(-7, 8))
    enhancement = _chosen(options.enhancement_hu, float(rng.uniform(60, 240)) * bool(rng.random() < 0.6))
    return Patient(
        scale=as_point(scale),
        scoliosis_mm=_chosen(options.scoliosis_mm, float(rng.choice([-1, 1]) * rng.gamma(1.5, 3.0))),
        fat_mm=float(np.clip(rng.gamma(4, 4.0), 4, 45)),
        breasts=float(rng.uniform(0.3, 1.0)) * female,
        inspiration_mm=float(rng.normal(3, 9)),
        heart_scale=float(np.clip(rng.normal(1, 0.07), 0.85, 1.25)),
        arms=_chosen(options.arms, str(rng.choice(ARMS, p=(0.85, 0.15)))),
        couch=_chosen(options.couch, str(rng.choice(COUCHES, p=(0.6, 0.3, 0.1)))),
        blood_hu=unenhanced + enhancement,
        venous_hu=unenhanced + enhancement * float(rng.uniform(0.5, 1.0)),
        lung_hu=float(rng.uniform(-890, -775)),
        gravity_hu_per_mm=float(rng.uniform(0.15, 0.75)),
        emphysema=_chosen(options.emphysema, float(rng.uniform(0.02, 0.3)) * bool(rng.random() < 0.25)),
        bone_scale=float(rng.uniform(0.7, 1.15)),
        noise_hu=_chosen(options.noise_hu, float(np.exp(rng.uniform(np.log(7), np.log(35))))),
        sharpness_mm=float(rng.uniform(0.3, 0.8)),
        blanket=_chosen(options.blanket, bool(rng.random() < 0.35)),
        leads=_chosen(options.leads, bool(rng.random() < 0.25)),
        circle=_chosen(options.circle, bool(rng.random() < 0.5)),
        distractors=_chosen(
            options.distractors, tuple(d for d, share in DISTRACTOR_SHARES.items() if rng.random() < share)
        ),
        lobes=options.lobes,
        fissure_gaps=options.fissure_gaps,
        accessory_fissures=_chosen(
            options.accessory_fissures, tuple(a for a, share in ACCESSORY_SHARES.items() if rng.random() < share)
        )
        if options.lobes
        else (),
    )


def _chosen(option: T | None, drawn: T) -> T:
    return drawn if option is None else option
