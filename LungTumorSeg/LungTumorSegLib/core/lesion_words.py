"""The words that the lesion table uses; the columns are in ``lesions.columns``.

The module uses the standard library only, so that Slicer can import it at start-up.
"""

from __future__ import annotations

from typing import Annotated, Literal

Side = Literal["Left", "Right"]
ZoneName = Literal["upper", "middle", "lower"]
Depth = Literal["central", "peripheral"]
Density = Literal["solid", "part-solid", "ground glass"]
SizeCategory = Literal["T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4"]
SideFromDominant = Literal["same side", "other side"]

Counted = Annotated[int, {"minimum": 1}]
"""A number from 1; the second argument is what JSON Schema says of it."""
