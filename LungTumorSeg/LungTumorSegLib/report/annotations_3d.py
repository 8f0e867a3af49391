"""Annotations of a 3D picture: orientation cube, letters at the sides, legend and rulers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vtkmodules.vtkFiltersSources import vtkLineSource
from vtkmodules.vtkRenderingAnnotation import vtkAnnotatedCubeActor
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkBillboardTextActor3D,
    vtkPolyDataMapper,
    vtkProp,
    vtkRenderer,
    vtkTextActor,
)

from ..core.colors import Color
from ..lesions import Ruler

BACKGROUND: Color = (0.96, 0.97, 0.98)
INK: Color = (0.15, 0.18, 0.22)

CUBE_VIEWPORT = (0.86, 0.0, 1.0, 0.187)
"""Viewport (left, bottom, right, top) in the lower right corner, square at the picture's aspect ratio."""

CUBE_BELOW_LEGEND = (0.0, 0.0, 0.14, 0.187)
"""Viewport in the lower left corner, in the legend's column."""

MOST_LEGEND_LINES = 14
RULER_WIDTH = 0.004
"""Width of a ruler's line as a share of the picture's height."""


def orientation_cube() -> vtkRenderer:
    """Return a renderer in the lower right corner with an orientation cube.

    Its faces show left (L), right (R), front (A), back (P), head (S) and feet (I).
    """
    cube = vtkAnnotatedCubeActor()
    cube.SetXPlusFaceText("L")
    cube.SetXMinusFaceText("R")
    cube.SetYPlusFaceText("P")
    cube.SetYMinusFaceText("A")
    cube.SetZPlusFaceText("S")
    cube.SetZMinusFaceText("I")
    cube.SetFaceTextScale(0.65)
    cube.GetCubeProperty().SetColor(0.80, 0.84, 0.88)
    cube.GetCubeProperty().SetAmbient(0.7)
    cube.GetCubeProperty().SetDiffuse(0.3)
    cube.GetTextEdgesProperty().SetColor(*INK)
    for face in (
        cube.GetXPlusFaceProperty(),
        cube.GetXMinusFaceProperty(),
        cube.GetYPlusFaceProperty(),
        cube.GetYMinusFaceProperty(),
        cube.GetZPlusFaceProperty(),
        cube.GetZMinusFaceProperty(),
    ):
        face.SetColor(*INK)
    corner = vtkRenderer()
    corner.SetViewport(*CUBE_VIEWPORT)
    corner.SetBackground(*BACKGROUND)
    corner.AddActor(cube)
    return corner


def legend_texts(
    lines: Sequence[tuple[str, Color]], size: tuple[int, int], text_height: float
) -> Iterator[vtkTextActor]:
    """Yield the legend's lines, from the upper left corner downward, each with a square of its color.

    Args:
        lines: Text and color of each line; if there are none, the legend says "No lesion".
        size: Width and height of the picture, pixels.
        text_height: Font size as a share of the picture's height.

    Yields:
        The texts and the squares.
    """
    shown = list(lines[:MOST_LEGEND_LINES]) or [("No lesion", BACKGROUND)]
    if len(lines) > len(shown):
        shown.append((f"and {len(lines) - len(shown)} more", BACKGROUND))
    font = round(size[1] * text_height)
    for row, (line, color) in enumerate(shown):
        down = size[1] - 2 * font - round(1.5 * font) * row
        yield _text(line, font, INK, 2 * font, down)
        square = _text("M", font, color, font // 2, down)
        square.GetTextProperty().SetBackgroundColor(*color)
        square.GetTextProperty().SetBackgroundOpacity(1.0)
        yield square


def side_letters(size: tuple[int, int], left_share: float, text_height: float) -> tuple[vtkTextActor, vtkTextActor]:
    """Return texts for the letters at the left and right side, as on a radiograph.

    Args:
        size: Width and height of the picture, pixels.
        left_share: Share of the picture's width at which the left text ends.
        text_height: Font size as a share of the picture's height.

    Returns:
        The left and the right text, both still empty.
    """
    width, height = size
    font = round(1.5 * height * text_height)
    left = max(round(width * left_share) - 3 * font // 2, font // 4)
    return _text("", font, INK, left, height // 2), _text("", font, INK, width - 5 * font // 4, height // 2)


def ruler_props(ruler: Ruler, size: tuple[int, int], text_height: float) -> Iterator[vtkProp]:
    """Yield a line between the ruler's ends, and its length at the second end."""
    line = vtkLineSource()
    line.SetPoint1(*ruler.start_lps)
    line.SetPoint2(*ruler.end_lps)
    mapper = vtkPolyDataMapper()
    mapper.SetInputConnection(line.GetOutputPort())
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*INK)
    actor.GetProperty().SetLineWidth(max(1.0, size[1] * RULER_WIDTH))
    yield actor
    text = vtkBillboardTextActor3D()
    text.SetInput(f"{ruler.length_mm:.0f} mm")
    text.SetPosition(*ruler.end_lps)
    text.GetTextProperty().SetFontSize(round(size[1] * text_height))
    text.GetTextProperty().SetColor(*INK)
    yield text


def _text(line: str, font: int, color: Color, x: int, y: int) -> vtkTextActor:
    text = vtkTextActor()
    text.SetInput(line)
    text.GetTextProperty().SetFontSize(font)
    text.GetTextProperty().SetColor(*color)
    text.SetPosition(x, y)
    return text
