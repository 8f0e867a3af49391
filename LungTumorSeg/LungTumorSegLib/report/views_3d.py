"""The picture of the tumor's spread, drawn by vtk alone, without a window or a screen."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow

from ..core.colors import LUNG_COLOR, ZONE_COLORS, Color
from ..core.complete_files import complete_file
from ..core.surfaces import surface_of
from ..core.volume import Volume
from ..lesions import Lesion, Margin, lung_zones
from ..lesions.components import numbered_crops
from ..lesions.zones import Side
from .annotations_3d import BACKGROUND, CUBE_BELOW_LEGEND, legend_texts, orientation_cube, ruler_props, side_letters
from .color_maps import ColorBy, Coloring, coloring
from .offscreen import offscreen_window, png_of

PICTURE_SIZE = (1200, 900)
"""Width and height in pixels."""

LUNG_GRID_MM = 3.0
"""Approximate voxel size from which lungs are drawn, mm; lesions are drawn from the voxels of the CT.

Smaller voxels take more time and only show vessels at the surface: on a CT of 512 x 512 x 300, the four pictures of a
run take 3.7 s with 3 mm and 5.2 s with 2 mm.
"""

LUNG_OPACITY = 0.22
MOST_PEELS = 3
"""Number of passes that sort translucent surfaces; each sorts the nearest and the farthest layer that are left.

Six layers are thus drawn in the right order. Lungs have four; more passes only take more time.
"""

MARGIN_OPACITY = 0.15
VIEW_ANGLE_DEGREES = 20.0
FILLED = 0.94
"""Share of the picture's height or width that the surfaces fill; the rest is margin."""

TEXT_HEIGHT = 0.025
"""Font size as a share of the picture's height."""

LEGEND_SHARE, LETTER_SHARE = 0.2, 0.05
"""Widths of the legend's column at the left and of the letters' columns, as shares of the picture's width."""


@dataclass(frozen=True)
class View:
    """A direction of view.

    Attributes:
        name: Name of the view.
        azimuth_degrees: Angle from the front toward the patient's left.
        elevation_degrees: Angle upward.
        side_letters: Letters for the left and the right side of the picture.
    """

    name: str
    azimuth_degrees: float
    elevation_degrees: float
    side_letters: tuple[str, str]


FRONT = View("front", 18.0, 12.0, ("R", "L"))
"""The view from the front, slightly rotated to give the lungs depth and show three faces of the orientation cube."""

FROM_THE_LEFT = View("left", 90.0, 8.0, ("A", "P"))
FROM_ABOVE = View("above", 0.0, 80.0, ("R", "L"))


@dataclass(frozen=True)
class Look:
    """What is shown in addition to lungs and lesions, and how.

    Attributes:
        color_by: What colors the lesions: "number", "volume" or "confidence".
        legend: Whether a column at the left explains the colors.
        margins: Margins that surround the lesions as translucent shells.
        zones: Whether the thirds of the lungs are tinted.
        rulers: Whether the long and the short axis of each lesion are drawn over everything.
        text_height: Font size as a share of the picture's height.
    """

    color_by: ColorBy = "number"
    legend: bool = True
    margins: Sequence[Margin] = ()
    zones: bool = False
    rulers: bool = False
    text_height: float = TEXT_HEIGHT


PLAIN = Look()


def render_spread(left_lung: Volume, right_lung: Volume, labels: Volume, path: str | os.PathLike[str]) -> None:
    """Draw translucent lungs and opaque lesions from the front into a PNG file.

    The patient's left is on the viewer's right. A cube shows left (L), right (R), front (A), back (P), head (S) and
    feet (I). The file appears only when it is complete.

    Args:
        left_lung: The left lung, bool.
        right_lung: The right lung, bool.
        labels: The lesions 1 ... n; 0 elsewhere.
        path: The PNG file.

    Raises:
        MachineLimit: vtk finds no way to draw, or the file cannot be written.
    """
    (picture,) = spread_pictures(left_lung, right_lung, labels, [FRONT])
    with complete_file(path) as unfinished:
        unfinished.write_bytes(picture)


def spread_pictures(
    left_lung: Volume,
    right_lung: Volume,
    labels: Volume,
    views: Sequence[View],
    size: tuple[int, int] = PICTURE_SIZE,
    *,
    lesions: Sequence[Lesion] | None = None,
    look: Look = PLAIN,
) -> list[bytes]:
    """Draw the picture of ``render_spread`` from several directions.

    Args:
        left_lung: The left lung, bool.
        right_lung: The right lung, bool.
        labels: The lesions by number; 0 elsewhere.
        views: The directions.
        size: Width and height of each picture, pixels.
        lesions: The lesions of ``labels``. Without them the lesions are called "Tumor 1" ... and have neither
            confidence nor rulers.
        look: What is shown, and how.

    Returns:
        The content of a PNG file per view.

    Raises:
        MachineLimit: vtk finds no way to draw.
    """
    window = offscreen_window(size)
    shown: Sequence[Lesion | _Unnamed] = _unnamed(labels) if lesions is None else lesions
    colors = coloring(shown, look.color_by)
    left, right = LEGEND_SHARE if look.legend else LETTER_SHARE, 1 - LETTER_SHARE
    scene = _scene(left_lung, right_lung, labels, lesions=shown, colors=colors, look=look)
    rulers = _rulers(lesions or (), size, look)
    for renderer in (scene, rulers):
        renderer.SetViewport(left, 0.0, right, 1.0)  # legend and letters must not cover the lungs
    rulers.SetActiveCamera(scene.GetActiveCamera())
    cube, letters = orientation_cube(), side_letters(size, left, look.text_height)
    if look.legend:
        cube.SetViewport(*CUBE_BELOW_LEGEND)
    above = vtkRenderer()
    for prop in (*(legend_texts(colors.legend, size, look.text_height) if look.legend else ()), *letters):
        above.AddViewProp(prop)
    _stack(window, (_sheet(), scene), (rulers, above, cube))
    pictures = []
    for view in views:
        _look(scene, cube, view, (round(size[0] * (right - left)), size[1]))
        for text, letter in zip(letters, view.side_letters, strict=True):
            text.SetInput(letter)
        pictures.append(png_of(window))
    return pictures


def _sheet() -> vtkRenderer:
    sheet = vtkRenderer()
    sheet.SetBackground(*BACKGROUND)
    return sheet


def _scene(
    left_lung: Volume,
    right_lung: Volume,
    labels: Volume,
    *,
    lesions: Sequence[Lesion | _Unnamed],
    colors: Coloring,
    look: Look,
) -> vtkRenderer:
    """Return the renderer of the surfaces."""
    scene = _sheet()
    by_number = {lesion.number: color for lesion, color in zip(lesions, colors.colors, strict=True)}
    sides = {lesion.number: lesion.side for lesion in lesions}
    for actor in _surfaces(left_lung, right_lung, labels, sides=sides, colors=by_number, look=look):
        scene.AddViewProp(actor)
    scene.SetUseDepthPeeling(True)
    scene.SetMaximumNumberOfPeels(MOST_PEELS)
    return scene


def _rulers(lesions: Sequence[Lesion], size: tuple[int, int], look: Look) -> vtkRenderer:
    """Return the renderer of the rulers, which are seen through the lungs."""
    over = vtkRenderer()
    for lesion in lesions if look.rulers else ():
        for ruler in (lesion.long_axis, lesion.short_axis):
            for prop in ruler_props(ruler, size, look.text_height):
                over.AddViewProp(prop)
    return over


def _stack(window: vtkRenderWindow, below: Sequence[vtkRenderer], above: Sequence[vtkRenderer]) -> None:
    """Put renderers into two layers of a window; nothing covers the upper one."""
    window.SetNumberOfLayers(2)
    for layer, renderers in enumerate((below, above)):
        for renderer in renderers:
            renderer.SetLayer(layer)
            window.AddRenderer(renderer)


@dataclass(frozen=True)
class _Unnamed:
    """A lesion of which only the mask is known."""

    number: int
    segment: str
    volume_ml: float
    confidence: None = None
    side: None = None


def _unnamed(labels: Volume) -> list[_Unnamed]:
    return [_Unnamed(number, f"Tumor {number}", crop.mask.mask_ml) for number, crop in numbered_crops(labels)]


def _surfaces(
    left_lung: Volume,
    right_lung: Volume,
    labels: Volume,
    *,
    sides: Mapping[int, Side | None],
    colors: Mapping[int, Color],
    look: Look,
) -> Iterator[vtkActor]:
    if look.zones:
        for zone in lung_zones(left_lung, right_lung, labels, sides):
            yield _actor(surface_of(zone.mask, grid_mm=LUNG_GRID_MM), ZONE_COLORS[zone.name], LUNG_OPACITY)
    else:
        for lung in (left_lung, right_lung):
            yield _actor(surface_of(lung, grid_mm=LUNG_GRID_MM), LUNG_COLOR, LUNG_OPACITY)
    for number, crop in numbered_crops(labels):
        yield _actor(surface_of(crop.mask), colors[number])
    for margin in look.margins:
        around = margin.mask.array.copy()  # with its lesion, whose surface would otherwise be drawn twice
        around |= labels.crop(*margin.box).array == margin.number
        yield _actor(surface_of(margin.mask.with_array(around)), colors[margin.number], MARGIN_OPACITY)


def _actor(surface: vtkPolyData, color: Color, opacity: float = 1.0) -> vtkActor:
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(surface)
    mapper.ScalarVisibilityOff()
    actor = vtkActor()
    actor.SetMapper(mapper)
    look = actor.GetProperty()
    look.SetColor(*color)
    look.SetOpacity(opacity)
    look.SetInterpolationToPhong()
    look.SetAmbient(0.2)
    look.SetDiffuse(0.8)
    look.SetSpecular(0.15)
    look.SetSpecularPower(20)
    return actor


def _look(scene: vtkRenderer, cube: vtkRenderer, view: View, size: tuple[int, int]) -> None:
    """Direct the camera and frame everything; y increases toward the back in LPS, so the front is at negative y."""
    camera = scene.GetActiveCamera()
    camera.SetFocalPoint(0, 0, 0)
    camera.SetPosition(0, -1, 0)
    camera.SetViewUp(0, 0, 1)
    camera.Azimuth(view.azimuth_degrees)
    camera.Elevation(view.elevation_degrees)
    camera.SetViewAngle(VIEW_ANGLE_DEGREES)
    scene.ResetCamera()
    _fill(scene, size)
    scene.ResetCameraClippingRange()
    beside = cube.GetActiveCamera()
    beside.SetFocalPoint(0, 0, 0)
    beside.SetPosition(*(-np.asarray(camera.GetDirectionOfProjection())).tolist())
    beside.SetViewUp(*camera.GetViewUp())
    beside.ParallelProjectionOn()
    cube.ResetCamera()


def _fill(scene: vtkRenderer, size: tuple[int, int]) -> None:
    """Change the view angle until all surfaces just fill the view.

    vtk itself frames the sphere around everything, of which lungs fill only a part.
    """
    camera = scene.GetActiveCamera()
    matrix = camera.GetCompositeProjectionTransformMatrix(size[0] / size[1], 0.0, 1.0)
    to_view = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    farthest = 0.0
    actors = scene.GetActors()
    actors.InitTraversal()
    for _ in range(actors.GetNumberOfItems()):
        points = actors.GetNextActor().GetMapper().GetInput().GetPoints()
        if points is not None and points.GetNumberOfPoints():
            x, y, _, w = (
                to_view @ np.column_stack([vtk_to_numpy(points.GetData()), np.ones(points.GetNumberOfPoints())]).T
            )
            farthest = max(farthest, float(np.abs(x / w).max()), float(np.abs(y / w).max()))
    if farthest > 0:
        half = np.deg2rad(camera.GetViewAngle() / 2)
        camera.SetViewAngle(2 * float(np.rad2deg(np.arctan(np.tan(half) * farthest / FILLED))))
