"""Numbers in files: as many digits as mean something."""

from __future__ import annotations

import math
from typing import Any

SIGNIFICANT_DIGITS = 7
"""Significant digits of each number in tables and JSON files.

This is single precision, so rounding never affects a comparison.
"""


def rounded(value: Any, digits: int = SIGNIFICANT_DIGITS) -> Any:
    """Return a value in which every float has ``digits`` significant digits, also in nested lists and dictionaries.

    A number that is not finite, such as the distance to a structure that is absent, becomes None. Whole numbers and
    texts stay as they are.
    """
    if isinstance(value, dict):
        return {name: rounded(each, digits) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each, digits) for each in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value
