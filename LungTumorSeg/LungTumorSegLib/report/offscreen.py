"""Windows that vtk draws into without a screen, and what they show as a PNG file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library

import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  both register the drawing classes
from vtkmodules.vtkCommonCore import vtkLogger, vtkVersion
from vtkmodules.vtkIOImage import vtkPNGWriter
from vtkmodules.vtkRenderingCore import vtkRenderWindow, vtkWindowToImageFilter

from ..core.errors import MachineLimit

FIRST_VTK_WITHOUT_SCREEN = (9, 4)
"""First version of vtk whose Linux wheels draw without an X server (EGL, then OSMesa); older ones abort the process."""


def offscreen_window(size: tuple[int, int]) -> vtkRenderWindow:
    """Return a window without a screen.

    Args:
        size: Width and height, pixels.

    Raises:
        MachineLimit: vtk finds no way to draw.
    """
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        version = vtkVersion()
        if (version.GetVTKMajorVersion(), version.GetVTKMinorVersion()) < FIRST_VTK_WITHOUT_SCREEN:
            raise MachineLimit(
                "This version of VTK cannot render without a display; install vtk 9.4 or later, or run with "
                "--no-picture."
            )
    with _quiet_vtk():
        window = vtkRenderWindow()
        window.SetOffScreenRendering(True)
        window.SetSize(*size)
        window.SetMultiSamples(0)  # depth peeling needs it
        window.SetAlphaBitPlanes(True)
        window.Initialize()
        # Without its library, this window would crash.
        without_library = window.GetClassName() == "vtkOSOpenGLRenderWindow" and find_library("OSMesa") is None
        if without_library or not window.SupportsOpenGL():
            raise MachineLimit(
                "This machine cannot render in 3D; install libEGL (Debian: libegl1) or OSMesa, or run with "
                "--no-picture."
            )
    return window


def png_of(window: vtkRenderWindow) -> bytes:
    """Draw what a window shows, and return it as the content of a PNG file."""
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
    """Suppress vtk's messages on stderr: it tries an X server first and complains before it finds another way."""
    before = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    try:
        yield
    finally:
        vtkLogger.SetStderrVerbosity(before)
