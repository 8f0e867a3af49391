"""Names of ``core.selection``, which decides which segments are lesions, under their former module."""

from __future__ import annotations

from ..core.selection import Named as Named
from ..core.selection import NamedSegment as NamedSegment
from ..core.selection import is_lesion as is_lesion
from ..core.selection import lung_pair as lung_pair
from ..core.selection import lung_segments as lung_segments
from ..core.selection import may_be_lesion as may_be_lesion
