"""Synthetic chest CT with known lesions, for the demo, tests and training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .generate import make_phantom as make_phantom
    from .lesions import LesionShape as LesionShape
    from .lesions import LesionSpec as LesionSpec
    from .lesions import blend_lesion as blend_lesion
    from .lesions import lesion_shape as lesion_shape
    from .options import PhantomOptions as PhantomOptions
    from .truth import Phantom as Phantom
    from .truth import PhantomLesion as PhantomLesion
    from .truth import write_phantom as write_phantom

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "make_phantom": "generate",
        "LesionShape": "lesions",
        "LesionSpec": "lesions",
        "blend_lesion": "lesions",
        "lesion_shape": "lesions",
        "PhantomOptions": "options",
        "Phantom": "truth",
        "PhantomLesion": "truth",
        "write_phantom": "truth",
    },
)
