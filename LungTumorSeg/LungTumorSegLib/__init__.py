"""LungTumorSeg's engine: from a chest CT to measured lung tumors. Research software, not a medical device.

The public names are loaded when they are first used, so that importing the package costs nothing and needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core import lazy

if TYPE_CHECKING:
    from .core.errors import MachineLimit as MachineLimit
    from .core.errors import UnusableInput as UnusableInput
    from .core.volume import CTVolume as CTVolume
    from .core.volume import Volume as Volume
    from .inference.decision import Thresholds as Thresholds
    from .io.images import read_ct as read_ct
    from .io.seg_nrrd import read_segmentation as read_segmentation
    from .isolation import isolate_lungs as isolate_lungs
    from .lesions import Lesion as Lesion
    from .lesions import LesionReport as LesionReport
    from .lesions import measure as measure
    from .pipeline import SegmentOptions as SegmentOptions
    from .pipeline import SegmentResult as SegmentResult
    from .pipeline import segment as segment

NOTICE = "Research software, not a medical device."

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "MachineLimit": "core.errors",
        "UnusableInput": "core.errors",
        "CTVolume": "core.volume",
        "Volume": "core.volume",
        "Thresholds": "inference.decision",
        "read_ct": "io.images",
        "read_segmentation": "io.seg_nrrd",
        "isolate_lungs": "isolation",
        "Lesion": "lesions",
        "LesionReport": "lesions",
        "measure": "lesions",
        "SegmentOptions": "pipeline",
        "SegmentResult": "pipeline",
        "segment": "pipeline",
    },
)
