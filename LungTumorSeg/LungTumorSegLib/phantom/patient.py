"""One drawn patient: sizes, posture, blood and breath, and the warp from the model chest to this patient.

The anatomy is written once, for a model chest in LPS mm with the origin at the carina's level in the middle of the chest
(x left, y back, z head). A patient is that chest scaled, with the spine bent sideways.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .options import ARMS, COUCHES, PhantomOptions
from .shapes import Array, profile

T = TypeVar("T")

DISTRACTOR_SHARES = {"collapse": 0.08, "effusion": 0.12, "scars": 0.35}
"""How often drawn patients have each; the others are present only where the options name them."""

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
"""(z, y) of the vertebral bodies' centers in the model chest: the thoracic kyphosis."""

UNENHANCED_BLOOD_HU = 42.0
"""Blood without contrast agent (normal hematocrit, 120 kVp)."""

SCOLIOSIS_CENTER_MM, SCOLIOSIS_LENGTH_MM = -40.0, 300.0
"""Height of the main curve's apex in the model and the wavelength of the curve."""


@dataclass(frozen=True)
class Patient:
    """What differs between patients; lengths in mm, intensities in HU."""

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

    def spine_shift(self, z_model: Array) -> Array:
        """Sideways excursion of the spine, mm, at model heights."""
        phase = 2 * np.pi * (z_model - SCOLIOSIS_CENTER_MM) / SCOLIOSIS_LENGTH_MM
        return np.asarray(self.scoliosis_mm * np.cos(phase) * np.exp(-(((z_model - SCOLIOSIS_CENTER_MM) / 150) ** 2)))

    def _shift(self, y_model: Array, z_model: Array) -> Array:
        """Of the spine's excursion the whole part at the back, a quarter at the sternum."""
        return self.spine_shift(z_model) * np.clip(0.7 + y_model / 140, 0.25, 1.0)

    def to_model(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
        """Model coordinates of LPS coordinates."""
        y_model, z_model = y / np.float32(self.scale[1]), z / np.float32(self.scale[2])
        shift = self._shift(y_model, z_model).astype(np.float32)
        return (x - shift) / np.float32(self.scale[0]), y_model, z_model

    def to_lps(self, points: Array) -> Array:
        """LPS points (n, 3) of model points (n, 3): the inverse of ``to_model``."""
        points = np.atleast_2d(np.asarray(points, dtype=float))
        moved = points * self.scale
        moved[:, 0] += self._shift(points[:, 1], points[:, 2])
        return np.asarray(moved)

    def spine_point(self, z_model: float) -> Array:
        """LPS center of the vertebral body at a model height."""
        depth = float(profile(np.asarray(z_model), SPINE_DEPTH_MM))
        return np.asarray(self.to_lps(np.array([[0.0, depth, z_model]]))[0])


def stream(seed: int, topic: str) -> np.random.Generator:
    """The random numbers of one topic: a change in one (other lesions, say) leaves the rest of the patient as it is."""
    return np.random.default_rng([seed, zlib.crc32(topic.encode())])


def draw_patient(seed: int, options: PhantomOptions) -> Patient:
    """The patient of ``seed``, with what ``options`` settles.

    All is drawn, also what the options settle, so that one option does not change the rest.
    """
    rng = stream(seed, "patient")
    female = bool(rng.random() < 0.5)
    size = rng.normal(1.0, 0.045) + (-0.03 if female else 0.03)
    scale = np.clip(size * rng.normal(1, 0.025, 3), 0.82, 1.15)
    unenhanced = UNENHANCED_BLOOD_HU + float(rng.uniform(-7, 8))
    enhancement = _chosen(options.enhancement_hu, float(rng.uniform(60, 240)) * bool(rng.random() < 0.6))
    return Patient(
        scale=(float(scale[0]), float(scale[1]), float(scale[2])),
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
    )


def _chosen(option: T | None, drawn: T) -> T:
    return drawn if option is None else option
