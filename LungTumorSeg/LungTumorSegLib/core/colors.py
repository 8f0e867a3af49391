"""Colors of segments, the same in files, pictures and reports: red, green, blue of 0 to 1."""

from __future__ import annotations

Color = tuple[float, float, float]

LUNG_COLOR: Color = (0.50, 0.68, 0.83)

LESION_COLORS: tuple[Color, ...] = (
    (0.85, 0.16, 0.16),
    (0.95, 0.55, 0.10),
    (0.75, 0.20, 0.65),
    (0.55, 0.35, 0.10),
    (0.95, 0.80, 0.10),
)
"""In turn, by lesion number; far from the lungs' blue also for eyes that confuse red and green."""


ZONE_COLORS: dict[str, Color] = {"upper": (0.45, 0.76, 0.72), "middle": LUNG_COLOR, "lower": (0.53, 0.53, 0.80)}
"""Of the lungs' zones: shades of the lungs' blue."""


def lesion_color(number: int) -> Color:
    """The color of the lesion ``number`` (1 ...); they repeat after the last."""
    return LESION_COLORS[(number - 1) % len(LESION_COLORS)]


def lightened(color: Color, share: float) -> Color:
    """``color`` mixed with white: unchanged for a ``share`` of 0, white for 1."""
    red, green, blue = (part + (1 - part) * share for part in color)
    return red, green, blue
