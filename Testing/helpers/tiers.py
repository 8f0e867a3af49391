"""Parameters of tests, some of which belong to the slow tier."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def fast_only(fast: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """Return the values as parameters of a test; those that are not in ``fast`` are marked ``slow``."""
    values = list(values)
    assert set(fast) <= set(values), "a fast parameter is not among the values"
    return [value if value in fast else pytest.param(value, marks=pytest.mark.slow) for value in values]
