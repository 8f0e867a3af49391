"""Procedural chest CT with known lesions, for the demo, tests and training."""

from __future__ import annotations

from .generate import make_phantom
from .lesions import LesionShape, LesionSpec, blend_lesion, lesion_shape
from .options import PhantomOptions
from .truth import Phantom, PhantomLesion, write_phantom

__all__ = [
    "LesionShape",
    "LesionSpec",
    "Phantom",
    "PhantomLesion",
    "PhantomOptions",
    "blend_lesion",
    "lesion_shape",
    "make_phantom",
    "write_phantom",
]
