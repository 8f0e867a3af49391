"""Agreement of a segmentation with a reference: voxels, slices, surfaces and lesions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .cases import CaseMetrics as CaseMetrics
    from .cases import evaluate_case as evaluate_case
    from .cases import summarize as summarize
    from .data_sets import evaluate_files as evaluate_files
    from .instances import average_precision as average_precision
    from .instances import instances_of as instances_of
    from .instances import match_instances as match_instances

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "CaseMetrics": "cases",
        "evaluate_case": "cases",
        "summarize": "cases",
        "evaluate_files": "data_sets",
        "average_precision": "instances",
        "instances_of": "instances",
        "match_instances": "instances",
    },
)
