"""The five lobes of the lungs: their names and labels."""

from __future__ import annotations

from typing import Literal, get_args

LobeName = Literal["left_upper", "left_lower", "right_upper", "right_middle", "right_lower"]
LOBES: tuple[LobeName, ...] = get_args(LobeName)
"""Names of the lobes; the first one has the label 1. The lingula belongs to the left upper lobe."""
