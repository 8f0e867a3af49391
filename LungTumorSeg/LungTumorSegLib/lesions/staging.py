"""The size category of the T descriptor."""

from __future__ import annotations

from ..core.lesion_words import Density, SizeCategory

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

SUBSOLID_MM, MINIMAL_SOLID_MM = 30.0, 5.0
"""Largest long axis (mm) of a ground-glass lesion in the category Tis, and largest solid part of one in T1mi."""


def size_category(long_axis_mm: float, density: Density = "solid", solid_mm: float | None = None) -> SizeCategory:
    """Return the size category, Tis to T4.

    The stage depends on much more: invasion, further nodules, lymph nodes, metastases, and whether the lesion is a lung
    cancer at all.

    Args:
        long_axis_mm: The long axis of the whole lesion, mm.
        density: Its density. A part-solid lesion has the category of its solid part. Ground glass, and solid parts of
            at most 5 mm, have categories of their own.
        solid_mm: The long axis of its solid part, mm; None if nothing is solid.

    References:
        Van Schil 2024, ninth edition of TNM, proposals for the T descriptors.
        Subsolid lesions: Travis 2016, J Thorac Oncol 11:1204, doi:10.1016/j.jtho.2016.03.025.
    """
    if density == "ground glass":
        return "Tis" if long_axis_mm <= SUBSOLID_MM else "T1a"
    if density == "part-solid" and solid_mm is not None:
        if solid_mm <= MINIMAL_SOLID_MM and long_axis_mm <= SUBSOLID_MM:
            return "T1mi"
        long_axis_mm = solid_mm
    return next(category for limit, category in SIZE_CATEGORIES if long_axis_mm <= limit)
