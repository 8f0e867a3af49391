"""The picture of how the tumor has spread: vtk alone, no window, no screen needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import dataclass

import numpy as np
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  both register what draws
from vtkmodules.vtkCommonCore import vtkLogger, vtkVersion
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOImage import vtkPNGWriter
from vtkmodules.vtkRenderingAnnotation import vtkAnnotatedCubeActor
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow, vtkTextActor, vtkWindowToImageFilter

from .colors import LUNG_COLOR, Color, lesion_color
from .ct import Volume
from .errors import MachineLimit
from .io import complete_file
from .lesions.components import lesion_crops
from .surfaces import surface_of

PICTURE_SIZE = (1200, 900)
"""Width and height in pixels."""

LUNG_GRID_MM = 2.0
"""Lungs are drawn from voxels of about this size: on a picture of half a millimeter a pixel finer ones change nothing but the time."""

LUNG_OPACITY = 0.22
MOST_LAYERS = 6
"""Translucent walls behind one another that are drawn in the right order; lungs have four, more cost time only."""

BACKGROUND: Color = (0.96, 0.97, 0.98)
INK: Color = (0.15, 0.18, 0.22)
VIEW_ANGLE_DEGREES = 20.0
ZOOM = 1.3
"""vtk frames the sphere about everything; lungs fill less of it."""

CUBE_VIEWPORT = (0.86, 0.0, 1.0, 0.187)
"""Lower right corner, square at the picture's aspect."""

MOST_LEGEND_LINES = 8
LEGEND_HEIGHT = 0.025
"""Font size as a share of the picture's height."""

FIRST_VTK_WITHOUT_SCREEN = (9, 4)
"""From this version on vtk's Linux wheels draw without an X server (EGL, then OSMesa); older ones abort the whole process."""


@dataclass(frozen=True)
class View:
    """From where to look: turned from the front toward the patient's left, then raised; letters for what lies on the left and right."""

    name: str
    azimuth_degrees: float
    elevation_degrees: float
    side_letters: tuple[str, str]


FRONT = View("front", 18.0, 12.0, ("R", "L"))
"""Turned a little, so that the lungs get depth and the orientation cube shows three faces."""

FROM_THE_LEFT = View("left", 90.0, 8.0, ("A", "P"))
FROM_ABOVE = View("above", 0.0, 80.0, ("R", "L"))


def render_spread(left_lung: Volume, right_lung: Volume, labels: Volume, path: str | os.PathLike[str]) -> None:
    """Draws translucent lungs (bool) and opaque lesions (``labels`` 1 ... n, 0 elsewhere) from the front into a PNG.

    The patient's left is on the viewer's right; a cube shows left (L), right (R), front (A), back (P), head (S) and feet (I).
    The file appears only when complete.
    Raises MachineLimit where vtk finds no way to draw, or the file cannot be written.
    """
    (picture,) = spread_pictures(left_lung, right_lung, labels, [FRONT])
    with complete_file(path) as unfinished:
        unfinished.write_bytes(picture)


def spread_pictures(
    left_lung: Volume, right_lung: Volume, labels: Volume, views: Sequence[View], size: tuple[int, int] = PICTURE_SIZE
) -> list[bytes]:
    """The picture of ``render_spread`` from several sides, each as the content of a PNG file of ``size`` (width, height).

    Raises MachineLimit where vtk finds no way to draw.
    """
    window = _offscreen_window(size)
    scene = vtkRenderer()
    scene.SetBackground(*BACKGROUND)
    for lung in (left_lung, right_lung):
        scene.AddViewProp(_actor(surface_of(lung, grid_mm=LUNG_GRID_MM), LUNG_COLOR, LUNG_OPACITY))
    legend = []
    for number, lesion in enumerate(lesion_crops(labels), start=1):
        scene.AddViewProp(_actor(surface_of(lesion.mask), lesion_color(number)))
        legend.append((f"Tumor {number}: {np.count_nonzero(lesion.mask.array) * labels.voxel_volume_ml:.1f} mL", lesion_color(number)))
    scene.SetUseDepthPeeling(True)
    scene.SetMaximumNumberOfPeels(MOST_LAYERS)
    cube = _orientation_cube()
    letters = _side_letters(size)
    for text in (*_legend_texts(legend, size), *letters):
        scene.AddViewProp(text)
    window.AddRenderer(scene)
    window.AddRenderer(cube)
    pictures = []
    for view in views:
        _look(scene, cube, view)
        for text, letter in zip(letters, view.side_letters, strict=True):
            text.SetInput(letter)
        pictures.append(_png(window))
    return pictures


def _offscreen_window(size: tuple[int, int]) -> vtkRenderWindow:
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        version = vtkVersion()
        if (version.GetVTKMajorVersion(), version.GetVTKMinorVersion()) < FIRST_VTK_WITHOUT_SCREEN:
            raise MachineLimit("This vtk cannot draw without a screen; install vtk 9.4 or later, or run with --no-picture.")
    with _quiet_vtk():
        window = vtkRenderWindow()
        window.SetOffScreenRendering(True)
        window.SetSize(*size)
        window.SetMultiSamples(0)  # depth peeling needs it
        window.SetAlphaBitPlanes(True)
        window.Initialize()
        without_library = window.GetClassName() == "vtkOSOpenGLRenderWindow" and find_library("OSMesa") is None  # would crash
        if without_library or not window.SupportsOpenGL():
            raise MachineLimit("This machine cannot draw in 3D; install libEGL (Debian: libegl1) or OSMesa, or run with --no-picture.")
    return window


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


def _look(scene: vtkRenderer, cube: vtkRenderer, view: View) -> None:
    """Frames everything; y grows to the back in LPS, so the front is at negative y."""
    camera = scene.GetActiveCamera()
    camera.SetFocalPoint(0, 0, 0)
    camera.SetPosition(0, -1, 0)
    camera.SetViewUp(0, 0, 1)
    camera.Azimuth(view.azimuth_degrees)
    camera.Elevation(view.elevation_degrees)
    camera.SetViewAngle(VIEW_ANGLE_DEGREES)
    scene.ResetCamera()
    camera.Zoom(ZOOM)
    scene.ResetCameraClippingRange()
    beside = cube.GetActiveCamera()
    beside.SetFocalPoint(0, 0, 0)
    beside.SetPosition(*(-np.asarray(camera.GetDirectionOfProjection())).tolist())
    beside.SetViewUp(*camera.GetViewUp())
    beside.ParallelProjectionOn()
    cube.ResetCamera()


def _orientation_cube() -> vtkRenderer:
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
    for face in (cube.GetXPlusFaceProperty(), cube.GetXMinusFaceProperty(), cube.GetYPlusFaceProperty(),
                 cube.GetYMinusFaceProperty(), cube.GetZPlusFaceProperty(), cube.GetZMinusFaceProperty()):
        face.SetColor(*INK)
    corner = vtkRenderer()
    corner.SetViewport(*CUBE_VIEWPORT)
    corner.SetBackground(*BACKGROUND)
    corner.AddActor(cube)
    return corner


def _legend_texts(lines: Sequence[tuple[str, Color]], size: tuple[int, int]) -> list[vtkTextActor]:
    """A line a lesion, in its color, below one another in the upper left corner."""
    shown = list(lines[:MOST_LEGEND_LINES])
    if len(lines) > len(shown):
        shown.append((f"and {len(lines) - len(shown)} more", INK))
    if not lines:
        shown.append(("No lesion", INK))
    texts = []
    font = round(size[1] * LEGEND_HEIGHT)
    for row, (line, color) in enumerate(shown):
        text = vtkTextActor()
        text.SetInput(line)
        text.GetTextProperty().SetFontSize(font)
        text.GetTextProperty().SetColor(*color)
        text.SetPosition(font, size[1] - 2 * font - round(1.4 * font) * row)
        texts.append(text)
    return texts


def _side_letters(size: tuple[int, int]) -> tuple[vtkTextActor, vtkTextActor]:
    """Texts at the left and the right edge for what lies there, as on a radiograph."""
    width, height = size
    font = round(1.5 * height * LEGEND_HEIGHT)
    left, right = vtkTextActor(), vtkTextActor()
    for text, x in ((left, font // 2), (right, width - 3 * font // 2)):
        text.GetTextProperty().SetFontSize(font)
        text.GetTextProperty().SetColor(*INK)
        text.SetPosition(x, height // 2)
    return left, right


def _png(window: vtkRenderWindow) -> bytes:
    picture = vtkWindowToImageFilter()
    picture.SetInput(window)
    picture.ReadFrontBufferOff()
    writer = vtkPNGWriter()
    writer.SetInputConnection(picture.GetOutputPort())
    writer.WriteToMemoryOn()
    writer.Write()
    return bytes(memoryview(writer.GetResult()))


@contextmanager
def _quiet_vtk() -> Iterator[None]:
    """vtk tries an X server first and complains on stderr before it finds another way."""
    before = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    try:
        yield
    finally:
        vtkLogger.SetStderrVerbosity(before)
