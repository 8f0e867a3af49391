"""Read CTs, masks and maps from files, and write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .images import read_ct as read_ct
    from .images import read_volume as read_volume
    from .images import write_volume as write_volume
    from .seg_nrrd import write_segmentation as write_segmentation
    from .segment import Segment as Segment
    from .segmentations import read_segmentation as read_segmentation

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "read_ct": "images",
        "read_volume": "images",
        "write_volume": "images",
        "Segment": "segment",
        "read_segmentation": "segmentations",
        "write_segmentation": "seg_nrrd",
    },
)
