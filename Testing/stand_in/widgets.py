"""Simple widgets in place of ctk's and qMRML's, connected to the real scene, with the names of the real classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from PySide6.QtCore import Property, QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from .segment_editor import Editor

HEADER_HEIGHT = 26


class ctkCollapsibleButton(QWidget):
    """A section with a title that collapses."""

    contentsCollapsed = Signal(bool)
    clicked = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text, self._collapsed = "", False
        self.setContentsMargins(8, HEADER_HEIGHT + 2, 4, 4)

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    def _set_collapsed(self, collapsed: bool) -> None:
        if collapsed != self._collapsed:
            self._collapsed = collapsed
            self._show_content()
            self.contentsCollapsed.emit(collapsed)

    text = Property(str, lambda self: self._text, _set_text)
    collapsed = Property(bool, lambda self: self._collapsed, _set_collapsed)

    def _show_content(self) -> None:
        for child in self.children():
            if isinstance(child, QWidget):
                if self._collapsed and not child.isHidden():
                    child.setProperty("folded", True)
                    child.hide()
                elif not self._collapsed and child.property("folded"):
                    child.setProperty("folded", False)
                    child.show()
        self.setMaximumHeight(HEADER_HEIGHT if self._collapsed else 16777215)

    def childEvent(self, event: QEvent) -> None:
        super().childEvent(event)
        if self._collapsed and event.type() == QEvent.Type.ChildPolished:
            self._show_content()

    def mousePressEvent(self, event: Any) -> None:
        if event.position().y() < HEADER_HEIGHT:
            self._set_collapsed(not self._collapsed)
            self.clicked.emit(not self._collapsed)

    def paintEvent(self, event: Any) -> None:
        painter = QStylePainter(self)
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect.setHeight(HEADER_HEIGHT)
        painter.drawControl(QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = (
            QStyle.PrimitiveElement.PE_IndicatorArrowRight
            if self._collapsed
            else QStyle.PrimitiveElement.PE_IndicatorArrowDown
        )
        arrow_option = QStyleOptionButton()
        arrow_option.initFrom(self)
        arrow_option.rect.setRect(6, HEADER_HEIGHT // 2 - 5, 10, 10)
        painter.drawPrimitive(arrow, arrow_option)
        painter.drawText(option.rect.adjusted(24, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._text)


class ctkSliderWidget(QWidget):
    """A slider with a spin box."""

    valueChanged = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider, self._box = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self._slider.setRange(0, 1000)
        self._slider.sliderMoved.connect(lambda at: self._box.setValue(self._box.minimum() + at / 1000 * self._span()))
        self._box.valueChanged.connect(self._moved)

    def _span(self) -> float:
        return self._box.maximum() - self._box.minimum()

    def _moved(self, value: float) -> None:
        self._slider.setValue(round(1000 * (value - self._box.minimum()) / self._span()) if self._span() else 0)
        self.valueChanged.emit(value)

    value = Property(float, lambda self: self._box.value(), lambda self, v: self._box.setValue(v))
    minimum = Property(float, lambda self: self._box.minimum(), lambda self, v: self._box.setMinimum(v))
    maximum = Property(float, lambda self: self._box.maximum(), lambda self, v: self._box.setMaximum(v))
    singleStep = Property(float, lambda self: self._box.singleStep(), lambda self, v: self._box.setSingleStep(v))
    decimals = Property(int, lambda self: self._box.decimals(), lambda self, v: self._box.setDecimals(v))


class ctkDirectoryButton(QPushButton):
    """A folder selector; tests set the folder instead of browsing."""

    directoryChanged = Signal(str)

    def _set_directory(self, directory: str) -> None:
        if directory != self.text():
            self.setText(directory)
            self.directoryChanged.emit(directory)

    directory = Property(str, lambda self: self.text(), _set_directory)


class qMRMLWidget(QWidget):
    """A widget with a reference to the scene."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return self._scene


class SceneFollower:
    """Follow a scene as Slicer's node lists do: at once, or at the end of a batch in which many nodes come or go.

    EndImportEvent and EndCloseEvent are sent before the end of the batch, when the lists are not up to date yet.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.is_behind = False
        self._on_change = on_change
        self._observed: list[tuple[Any, int]] = []

    def follow(self, scene: Any) -> None:
        """Follow another scene; None for none."""
        self.let_go()
        if scene is not None:
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
                self.observe(scene, event, self._on_node)
            self.observe(scene, scene.StartBatchProcessEvent, self._on_batch_start)
            self.observe(scene, scene.EndBatchProcessEvent, self._on_batch_end)
        self.is_behind = False
        self._on_change()

    def observe(self, observed: Any, event: Any, callback: Callable[..., None]) -> None:
        """Observe an object until another scene is followed."""
        self._observed.append((observed, observed.AddObserver(event, callback)))

    def let_go(self) -> None:
        """Stop following the scene."""
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []

    def _on_node(self, *_: Any) -> None:
        if not self.is_behind:
            self._on_change()

    def _on_batch_start(self, *_: Any) -> None:
        self.is_behind = True

    def _on_batch_end(self, *_: Any) -> None:
        self.is_behind = False
        self._on_change()


class qMRMLThreeDWidget(QFrame):
    """The frame of a 3D view; nothing is drawn in it."""


class qMRMLNodeComboBox(QComboBox):
    """The nodes of the scene with the given classes and attributes. Like the real one, it starts without a node."""

    currentNodeChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._follower = SceneFollower(self._refresh)
        self._types: list[str] = []
        self._attributes: dict[str, tuple[str, str]] = {}
        self._flags = {"showChildNodeTypes": True, "noneEnabled": False}
        self._none_display, self._current = "None", ""
        self._requested: str | None = None  # while the list is not up to date
        self.activated.connect(lambda index: self.setCurrentNode(self.itemData(index)))

    def _flag(name: str) -> Any:
        def write(self: qMRMLNodeComboBox, value: bool) -> None:
            self._flags[name] = value
            self._refresh()

        return Property(bool, lambda self: self._flags.get(name, False), write)

    showChildNodeTypes, noneEnabled = _flag("showChildNodeTypes"), _flag("noneEnabled")
    addEnabled, removeEnabled, renameEnabled = _flag("addEnabled"), _flag("removeEnabled"), _flag("renameEnabled")

    def _set_types(self, types: list[str]) -> None:
        self._types = list(types)
        self._refresh()

    def _set_none_display(self, text: str) -> None:
        self._none_display = text
        self._refresh()

    nodeTypes = Property("QStringList", lambda self: self._types, _set_types)
    noneDisplay = Property(str, lambda self: self._none_display, _set_none_display)
    currentNodeID = Property(str, lambda self: self._current, lambda self, node_id: self.setCurrentNode(node_id))

    def addAttribute(self, node_type: str, name: str, value: str = "") -> None:
        self._attributes[node_type] = (name, value)
        self._refresh()

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self._follower.follow(scene)

    def mrmlScene(self) -> Any:
        return self._scene

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node: Any) -> None:
        wanted = node if isinstance(node, str) else node.GetID() if node is not None else ""
        if wanted and wanted not in [offered.GetID() for offered in self._offered()]:
            wanted = ""
        if self._follower.is_behind:
            self._requested = wanted or ""
        else:
            self._select(wanted or "")

    def nodeCount(self) -> int:
        return len(self._offered())

    def _offered(self) -> list[Any]:
        nodes = [] if self._scene is None else slicer.util.getNodesByClass("vtkMRMLNode", self._scene)
        return [
            node
            for node in nodes
            if not node.GetHideFromEditors() and any(self._accepts(node, kind) for kind in self._types)
        ]

    def _accepts(self, node: Any, kind: str) -> bool:
        if not node.IsA(kind) or (not self._flags["showChildNodeTypes"] and node.GetClassName() != kind):
            return False
        if kind not in self._attributes:
            return True
        name, value = self._attributes[kind]
        if not node.HasObserver("ModifiedEvent"):
            self._follower.observe(node, "ModifiedEvent", lambda *_: QTimer.singleShot(0, self, self._refresh))
        return node.GetAttribute(name) is not None and value in ("", node.GetAttribute(name))

    def _refresh(self) -> None:
        offered = self._offered()
        self.blockSignals(True)
        self.clear()
        if self._flags["noneEnabled"]:
            self.addItem(self._none_display, "")
        for node in offered:
            self.addItem(node.GetName(), node.GetID())
        self.blockSignals(False)
        wanted, self._requested = self._current if self._requested is None else self._requested, None
        self._select(wanted if wanted in [node.GetID() for node in offered] else "")

    def _select(self, node_id: str) -> None:
        self.setCurrentIndex(self.findData(node_id))
        if node_id != self._current:
            self._current = node_id
            self.currentNodeChanged.emit(self.currentNode())


_EDITOR_FLAGS = (
    "unorderedEffectsVisible", "maskingSectionVisible", "addRemoveSegmentButtonsVisible", "show3DButtonVisible",
    "undoEnabled",
    "specifyGeometryButtonVisible",
)  # fmt: skip


class qMRMLSegmentEditorWidget(QWidget):
    """Store segmentation, volume, segment and effect, with Slicer's own undo history; the effects do nothing.

    Its selectors set the nodes: a node that they do not list yet is replaced by None, and None stays.
    """

    currentSegmentIDChanged = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._effect = ""
        self._history = slicer.vtkSegmentationHistory()
        self.in_views = self.has_shortcuts = False
        self._flags = dict.fromkeys(_EDITOR_FLAGS, True)
        self._selectors = SceneFollower(lambda: None)
        self._buttons = QGridLayout(self)
        self._table = QLabel("")
        self._buttons.addWidget(self._table, 0, 0, 1, 3)

    def _flag(name: str) -> Any:
        return Property(bool, lambda self: self._flags[name], lambda self, on: self._flags.update({name: on}))

    unorderedEffectsVisible, maskingSectionVisible = _flag("unorderedEffectsVisible"), _flag("maskingSectionVisible")
    addRemoveSegmentButtonsVisible = _flag("addRemoveSegmentButtonsVisible")
    show3DButtonVisible, undoEnabled = _flag("show3DButtonVisible"), _flag("undoEnabled")
    specifyGeometryButtonVisible = _flag("specifyGeometryButtonVisible")

    def setMRMLScene(self, scene: Any) -> None:
        self._selectors.follow(scene)

    def setEffectNameOrder(self, names: list[str]) -> None:
        for index, name in enumerate(names):
            self._buttons.addWidget(QPushButton(name), 1 + index // 3, index % 3)

    def setSegmentationNodeSelectorVisible(self, visible: bool) -> None: ...

    def setSourceVolumeNodeSelectorVisible(self, visible: bool) -> None: ...

    def setSwitchToSegmentationsButtonVisible(self, visible: bool) -> None: ...

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._node = node

    def segmentationNode(self) -> Any:
        return self._set_node().GetSegmentationNode()

    def setSegmentationNode(self, node: Any) -> None:
        node = None if self._selectors.is_behind else node
        self._set_node().SetAndObserveSegmentationNode(node)
        self._history.SetSegmentation(node.GetSegmentation() if node is not None else None)
        content = node.GetSegmentation() if node is not None else slicer.vtkSegmentation()
        self._table.setText("\n".join(content.GetNthSegment(i).GetName() for i in range(content.GetNumberOfSegments())))

    def sourceVolumeNode(self) -> Any:
        return self._set_node().GetSourceVolumeNode()

    def setSourceVolumeNode(self, node: Any) -> None:
        node = None if self._selectors.is_behind else node
        self._set_node().SetAndObserveSourceVolumeNode(node)

    def currentSegmentID(self) -> str:
        return str(self._set_node().GetSelectedSegmentID() or "")

    def setCurrentSegmentID(self, segment_id: str) -> None:
        self._set_node().SetSelectedSegmentID(segment_id)

    def effectByName(self, name: str) -> Any:
        registered = Editor.registered.get(name)
        return None if registered is None else registered.self().clone()

    def setActiveEffect(self, effect: Any) -> None:
        assert effect is None, "the stand-in has no effects"
        self._effect = ""

    def setActiveEffectByName(self, name: str) -> None:
        self._effect = name

    def setupViewObservations(self) -> None:
        self.in_views = True

    def removeViewObservations(self) -> None:
        self.in_views = False

    def installKeyboardShortcuts(self) -> None:
        self.has_shortcuts = True

    def uninstallKeyboardShortcuts(self) -> None:
        self.has_shortcuts = False

    def saveStateForUndo(self) -> None:
        self._history.SaveState()

    def undo(self) -> None:
        self._history.RestorePreviousState()

    def _set_node(self) -> Any:
        assert self._node is not None, "Slicer logs an error where no editor node is set"
        return self._node


CTK = (ctkCollapsibleButton, ctkDirectoryButton, ctkSliderWidget)
QMRML = (qMRMLNodeComboBox, qMRMLSegmentEditorWidget, qMRMLThreeDWidget, qMRMLWidget)

__all__ = ["CTK", "QMRML", "QObject", "QVBoxLayout"]
