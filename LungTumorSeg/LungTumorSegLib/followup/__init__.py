"""Follow-up: compare the examinations of one patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .comparison import FollowUp as FollowUp
    from .comparison import compare as compare
    from .examination import Examination as Examination
    from .examination import read_examination as read_examination

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "FollowUp": "comparison",
        "compare": "comparison",
        "Examination": "examination",
        "read_examination": "examination",
    },
)
