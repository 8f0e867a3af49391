"""LungTumorSeg's engine: from a chest CT to measured lung tumors. Research software, not a medical device.

Public names are loaded when they are first used, so importing the package is cheap and does not need torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core import lazy

if TYPE_CHECKING:
    from .core.errors import MachineLimit as MachineLimit
    from .core.errors import UnusableInput as UnusableInput
    from .core.volume import CTVolume as CTVolume
    from .core.volume import Volume as Volume
    from .followup import compare as compare
    from .io.images import read_ct as read_ct
    from .io.segmentations import read_segmentation as read_segmentation
    from .isolation import isolate_lungs as isolate_lungs
    from .lesions import Lesion as Lesion
    from .lesions import LesionReport as LesionReport
    from .lesions import measure as measure
    from .options import SegmentOptions as SegmentOptions
    from .options import Thresholds as Thresholds
    from .pipeline import outline as outline
    from .pipeline import segment as segment
    from .results.segment_result import SegmentResult as SegmentResult
    from .results.writer import write_result as write_result

__version__ = "0.1.0"
"""Version of the software.

pyproject.toml, ``--version`` and ``software_version`` in summary.json use this value.
"""

NOTICE = "Research software, not a medical device."

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "MachineLimit": "core.errors",
        "UnusableInput": "core.errors",
        "CTVolume": "core.volume",
        "Volume": "core.volume",
        "Thresholds": "options",
        "compare": "followup.comparison",
        "read_ct": "io.images",
        "read_segmentation": "io.segmentations",
        "isolate_lungs": "isolation",
        "Lesion": "lesions",
        "LesionReport": "lesions",
        "measure": "lesions",
        "SegmentOptions": "options",
        "SegmentResult": "results.segment_result",
        "outline": "pipeline",
        "segment": "pipeline",
        "write_result": "results.writer",
    },
)
