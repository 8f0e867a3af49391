"""Slicer's application layer for tests.

``install()`` makes qt, ctk and the application's part of ``slicer`` importable on top of slicer-core.
"""

from __future__ import annotations

import logging
import os
import sys
import types
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from . import packaging, parameter_node, sample_data, segment_editor, widgets
from .drawing import Drawing
from .pythonqt import API, PlainProxy, application, forget_destroyed, make_class, wrap
from .ui_file import load_ui

VERSION = (5, 12)


class _Listed:
    """Base class of the counterparts of Slicer's objects; it allows only the names that api.json lists."""

    api_name = ""

    def __getattr__(self, name: str) -> Any:
        listed = API[self.api_name]
        known = name in listed["properties"] or any(
            entry.partition("(")[0] == name for entry in (*listed["slots"], *listed["methods"])
        )
        if known:
            raise NotImplementedError(f"{self.api_name}.{name} exists in Slicer, but not in the stand-in yet.")
        raise AttributeError(f"{self.api_name} has no attribute named '{name}'")


class ThreeDView:
    """The 3D view inside its widget; ``reset_cameras`` counts how often the camera was reset."""

    def __init__(self) -> None:
        self.reset_cameras = 0

    def resetCamera(self) -> None:
        """Count a fit of the view to the visible objects."""
        self.reset_cameras += 1

    def resetFocalPoint(self) -> None:
        """Turn to the visible objects without fitting the view to them."""


class ThreeDWidget(_Listed):
    """The widget of the 3D view."""

    api_name = "slicer.qMRMLThreeDWidget"

    def __init__(self) -> None:
        self._view = ThreeDView()

    def threeDView(self) -> ThreeDView:
        """Return the 3D view."""
        return self._view


class LayoutManager(_Listed):
    """The views: three slice views as nodes of the scene, and one empty 3D view.

    As in Slicer, ``resetThreeDViews`` does not fit the view to the visible objects.
    """

    api_name = "slicer.qMRMLLayoutManager"
    threeDViewCount = 1

    def __init__(self) -> None:
        self.reset_views = 0
        self.layout = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        self._three_d_widget = ThreeDWidget()

    def setLayout(self, layout: int) -> None:
        """Store the number of the layout; which views are visible in it is not imitated."""
        self.layout = layout

    def threeDWidget(self, index: int) -> ThreeDWidget | None:
        """Return the widget of the 3D view; None for any index but 0."""
        return self._three_d_widget if index == 0 else None

    def mrmlSliceLogics(self) -> Any:
        """Return an empty collection: without pixels, no slice view can be fitted to its volume."""
        return vtk.vtkCollection()

    def activeMRMLThreeDViewNode(self) -> Any:
        """Return the node of the 3D view."""
        return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLViewNode")

    def resetThreeDViews(self) -> None:
        """Count the call."""
        self.reset_views += 1

    def resetSliceViews(self) -> None:
        """Count the call."""
        self.reset_views += 1

    def sliceViewNames(self) -> tuple[str, ...]:
        """Return the names of the slice views."""
        return ("Green", "Red", "Yellow")


class ModuleManager:
    """Notifies widgets that their module is about to be unloaded."""

    def __init__(self) -> None:
        self.unloading: list[Callable[[str], None]] = []

    def connect(self, signal: str, callback: Callable[[str], None]) -> bool:
        """Register a callback for the unloading of a module."""
        self.unloading.append(callback)
        return signal == "moduleAboutToBeUnloaded(QString)"

    def disconnect(self, _: str, callback: Callable[[str], None]) -> bool:
        """Remove a callback."""
        self.unloading.remove(callback)
        return True


class Application(_Listed):
    """The counterpart of ``slicer.app``."""

    api_name = "slicer.app"
    applicationName = "Slicer"
    majorVersion, minorVersion = VERSION
    applicationVersion = "5.12.3-2026-07-22"

    def __init__(self, temporary: Path, layout_manager: LayoutManager | None) -> None:
        self.temporaryPath = str(temporary)
        self._layout_manager, self._module_manager = layout_manager, ModuleManager()
        self.drawing: Drawing | None = None  # of the scene; None without views
        self.started: list[Callable[[], None]] = []
        self.testing = False

    def connect(self, signal: str, callback: Callable[[], None]) -> bool:
        """Register a callback; return False for a signal that Slicer does not have."""
        if signal not in API["slicer.app"]["signals"]:
            return False
        self.started.append(callback)
        return True

    def layoutManager(self) -> LayoutManager | None:
        """Return the layout manager; None without a main window."""
        return self._layout_manager

    def moduleManager(self) -> ModuleManager:
        """Return the module manager."""
        return self._module_manager

    def testingEnabled(self) -> bool:
        """Return whether Slicer runs its tests."""
        return self.testing

    def pauseRender(self) -> None:
        """Pause the drawing of the views."""
        if self.drawing is not None:
            self.drawing.pause()

    def resumeRender(self) -> None:
        """Resume the drawing of the views."""
        if self.drawing is not None:
            self.drawing.resume()

    def processEvents(self) -> None:
        """Process the pending events of Qt."""
        application().processEvents()

    def topLevelWidgets(self) -> tuple[Any, ...]:
        """Return no widgets."""
        return ()  # no main window

    def setOverrideCursor(self, cursor: Any) -> None:
        """Show a cursor for the whole application."""
        application().setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        """Restore the former cursor."""
        application().restoreOverrideCursor()


class ScriptedLoadableModule:
    """Base of the module class: help, icon and resources."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__

    def resourcePath(self, filename: str) -> str:
        """Return the path of a file in the module's folder Resources."""
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)


class ScriptedLoadableModuleWidget:
    """Base of the panel: a parent widget with a layout, and the life cycle of the module."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        """Return the path of a file in the module's folder Resources."""
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self) -> None:
        """Create the panel."""
        ...

    def cleanup(self) -> None:
        """Release all resources."""
        ...

    def _onModuleAboutToBeUnloaded(self, name: str) -> None:
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """Base of the logic: one parameter node per scene."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        """Return the parameter node of the scene; create it if it is missing."""
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetAttribute("ModuleName", self.moduleName)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of the self-test."""

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        """Log the message instead of showing it."""
        logging.info(message)


def install(temporary: Path, *, views: bool = True) -> None:
    """Make ``import qt, ctk`` and the application's part of ``slicer`` work in this process.

    Each call creates a new application, scene and settings; the classes stay the same.

    Args:
        temporary: Folder for the settings and temporary files.
        views: False stands for Slicer without a main window.
    """
    application()
    forget_destroyed()
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
    QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, str(temporary))
    QtCore.QCoreApplication.setOrganizationName("stand-in")
    if "qt" not in sys.modules:
        _install_modules()
    segment_editor.install(_module)
    slicer.app = Application(temporary, LayoutManager() if views else None)
    slicer.modules = types.SimpleNamespace()
    slicer.packaging = packaging
    packaging.answer = True
    packaging.installed.clear()
    slicer.mrmlScene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerSegmentationsModuleLogic()  # registers the conversion from label maps to surfaces
    logic.SetMRMLScene(slicer.mrmlScene)
    slicer.segmentations_logic = logic  # keeps it alive
    cache, files = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(str(temporary))
    files.SetCacheManager(cache)
    slicer.mrmlScene.SetDataIOManager(files)  # scene bundles (.mrb) are unpacked there
    if views:
        _add_views()
        slicer.app.drawing = Drawing(slicer.mrmlScene)


def _add_views() -> None:
    """Add the nodes of the views, singletons that stay when the scene is closed."""
    slices = ("Red", "Green", "Yellow")
    for name, kind in (*((n, "Slice") for n in slices), *((n, "SliceComposite") for n in slices), ("1", "View")):
        node = getattr(slicer, f"vtkMRML{kind}Node")()
        node.SetSingletonTag(name)
        node.SetName(name)
        if kind == "Slice":
            _add_orientations(node)
        slicer.mrmlScene.AddNode(node)


def _add_orientations(node: Any) -> None:
    """Add the orientations that Slicer's application gives to each slice node."""
    for name in ("Axial", "Sagittal", "Coronal"):
        matrix = vtk.vtkMatrix3x3()
        getattr(slicer.vtkMRMLSliceNode, f"Get{name}SliceToRASMatrix")(matrix)
        node.AddSliceOrientationPreset(name, matrix)


def _install_modules() -> None:
    _install_qt()
    slicer.util.loadUI = load_ui
    bases = (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    )
    _module("slicer.ScriptedLoadableModule", __all__=[b.__name__ for b in bases], **{b.__name__: b for b in bases})
    _module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    wrapper = {name: getattr(parameter_node, name) for name in ("parameterNodeWrapper", "WithinRange")}
    _module("slicer.parameterNodeWrapper", **wrapper)
    _module("SampleData", **{name: getattr(sample_data, name) for name in ("SampleDataLogic", "SampleDataSource")})


def _install_qt() -> None:
    modules: dict[str, dict[str, Any]] = {"qt": {}, "ctk": {}, "slicer": {}}
    own = {kind.__name__: kind for kind in (*widgets.CTK, *widgets.QMRML)}
    for full_name, entry in API.items():
        module, _, name = full_name.partition(".")
        qt_class = own.get(name) or next(
            (getattr(part, name) for part in (QtWidgets, QtGui, QtCore) if hasattr(part, name)), None
        )
        if isinstance(entry, dict) and qt_class is not None:
            modules[module][name] = make_class(full_name, qt_class)
    modules["qt"]["Qt"] = QtCore.Qt
    modules["qt"]["QColor"] = QtGui.QColor
    modules["qt"]["QApplication"] = QtWidgets.QApplication
    for plain in (QtWidgets.QTableWidgetItem, QtGui.QPainter, QtGui.QPen):
        modules["qt"][plain.__name__] = lambda *arguments, plain=plain: PlainProxy(plain(*arguments))
    _module("qt", **modules["qt"])
    _module("ctk", **modules["ctk"])
    for name, class_ in modules["slicer"].items():
        setattr(slicer, name, class_)


def _module(name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module
    if name.startswith("slicer."):
        setattr(slicer, name.partition(".")[2], module)


def new_panel_parent() -> Any:
    """Return what Slicer passes to a module's widget: a scene-aware widget with an empty vertical layout."""
    parent = widgets.qMRMLWidget()
    parent.setLayout(QtWidgets.QVBoxLayout())
    parent.setMRMLScene(slicer.mrmlScene)
    return wrap(parent)
