"""Segment colors, identical in files, pictures and reports: red, green and blue from 0 to 1."""

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
"""Colors of the first lesions by number.

They differ clearly from the blue of the lungs, also for people with red-green color blindness.
"""

GOLDEN_SHARE = 0.381966
"""Step between the hues of consecutive lesions, as a share of the color circle.

The step follows the golden ratio: hues never repeat, and consecutive ones lie far apart.
"""

LUNG_HUES = (0.50, 0.70)
"""Range of hues reserved for the lungs and their zones; lesions never receive one of these hues."""

ZONE_COLORS: dict[str, Color] = {"upper": (0.45, 0.76, 0.72), "middle": LUNG_COLOR, "lower": (0.53, 0.53, 0.80)}
"""Colors of the lung zones: shades of the blue of the lungs."""

GROWTH_COLORS: dict[str, Color] = {
    "grown": (0.84, 0.37, 0.00),
    "new": (0.80, 0.20, 0.45),
    "shrunk": (0.00, 0.62, 0.45),
    "stable": (0.75, 0.75, 0.75),
}
"""Colors of lesions by what became of them; they also differ for people with red-green color blindness."""


WHITE_MARGIN_MM = 50.0
"""Distance of a margin that would be drawn white, mm; at half of it, the color is halfway to white."""


def lesion_color(number: int) -> Color:
    """Return the color of the lesion ``number`` (counted from 1). No two lesions share a color."""
    if number <= len(LESION_COLORS):
        return LESION_COLORS[number - 1]
    place = number - len(LESION_COLORS)
    free = 1 - (LUNG_HUES[1] - LUNG_HUES[0])
    hue = (LUNG_HUES[1] + (place * GOLDEN_SHARE) % 1 * free) % 1
    saturation, value = ((0.85, 0.80), (0.55, 0.90), (0.95, 0.55))[place % 3]
    return colorsys.hsv_to_rgb(hue, saturation, value)


def margin_color(color: Color, distance_mm: float) -> Color:
    """Return the color of a margin around a lesion of this color: lighter for wider margins."""
    return lightened(color, distance_mm / WHITE_MARGIN_MM)


def lightened(color: Color, share: float) -> Color:
    """Return ``color`` mixed with white: a ``share`` of 0 leaves it unchanged, 1 gives white."""
    red, green, blue = (part + (1 - part) * share for part in color)
    return red, green, blue
