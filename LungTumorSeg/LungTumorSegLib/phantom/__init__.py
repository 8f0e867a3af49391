"""Synthetic chest CT with known lesions, for the demo, tests and training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .followup import make_follow_up as make_follow_up
    from .generate import make_phantom as make_phantom
    from .lesions import LesionShape as LesionShape
    from .lesions import LesionSpec as LesionSpec
    from .lesions import blend_lesion as blend_lesion
    from .lesions import lesion_shape as lesion_shape
    from .options import PhantomOptions as PhantomOptions
    from .truth import FollowUpPhantom as FollowUpPhantom
    from .truth import Phantom as Phantom
    from .truth import PhantomLesion as PhantomLesion
    from .truth import write_follow_up_phantom as write_follow_up_phantom
    from .truth import write_phantom as write_phantom

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "make_follow_up": "followup",
        "make_phantom": "generate",
        "LesionShape": "lesions",
        "LesionSpec": "lesions",
        "blend_lesion": "lesions",
        "lesion_shape": "lesions",
        "PhantomOptions": "options",
        "FollowUpPhantom": "truth",
        "Phantom": "truth",
        "PhantomLesion": "truth",
        "write_follow_up_phantom": "truth",
        "write_phantom": "truth",
    },
)
