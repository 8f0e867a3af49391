"""The size category of the T descriptor."""

from __future__ import annotations

from ..core.lesion_words import SizeCategory

SIZE_CATEGORIES: tuple[tuple[float, SizeCategory], ...] = (
    (10.0, "T1a"),
    (20.0, "T1b"),
    (30.0, "T1c"),
    (40.0, "T2a"),
    (50.0, "T2b"),
    (70.0, "T3"),
    (float("inf"), "T4"),
)
"""Largest size (mm) of each category.

The categories are those of the ninth edition of the TNM classification of lung cancer, unchanged from the eighth.
"""


def size_category(size_mm: float) -> SizeCategory:
    """Return the size category, T1a to T4.

    The stage depends on much more: invasion, further nodules, lymph nodes, metastases, and whether the lesion is a lung
    cancer at all.

    Args:
        size_mm: The size, mm.

    References:
        Van Schil 2024, ninth edition of TNM, proposals for the T descriptors.
    """
    return next(category for limit, category in SIZE_CATEGORIES if size_mm <= limit)
