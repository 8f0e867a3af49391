"""Colors of segments, the same in files, pictures and reports: red, green, blue of 0 to 1."""

from __future__ import annotations

import colorsys

Color = tuple[float, float, float]

LUNG_COLOR: Color = (0.50, 0.68, 0.83)

LESION_COLORS: tuple[Color, ...] = (
    (0.85, 0.16, 0.16),
    (0.95, 0.55, 0.10),
    (0.75, 0.20, 0.65),
    (0.55, 0.35, 0.10),
    (0.95, 0.80, 0.10),
)
"""Of the first lesions by number; far from the lungs' blue also for eyes that confuse red and green."""

GOLDEN_SHARE = 0.381966
"""Steps of this share never come back to where they were; hues after one another lie far apart."""

LUNG_HUES = (0.50, 0.70)
"""Hues of the lungs and their zones, left out for lesions."""

ZONE_COLORS: dict[str, Color] = {"upper": (0.45, 0.76, 0.72), "middle": LUNG_COLOR, "lower": (0.53, 0.53, 0.80)}
"""Of the lungs' zones: shades of the lungs' blue."""


def lesion_color(number: int) -> Color:
    """Return the color of the lesion ``number`` (1 ...). Colors do not repeat."""
    if number <= len(LESION_COLORS):
        return LESION_COLORS[number - 1]
    place = number - len(LESION_COLORS)
    free = 1 - (LUNG_HUES[1] - LUNG_HUES[0])
    hue = (LUNG_HUES[1] + (place * GOLDEN_SHARE) % 1 * free) % 1
    saturation, value = ((0.85, 0.80), (0.55, 0.90), (0.95, 0.55))[place % 3]
    return colorsys.hsv_to_rgb(hue, saturation, value)


def lightened(color: Color, share: float) -> Color:
    """``color`` mixed with white: unchanged for a ``share`` of 0, white for 1."""
    red, green, blue = (part + (1 - part) * share for part in color)
    return red, green, blue
