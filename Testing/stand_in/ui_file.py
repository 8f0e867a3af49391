"""Loading of Qt Designer files; every class, property, signal and slot in them has to be listed in api.json."""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ElementTree
from typing import Any

from PySide6.QtCore import QBuffer
from PySide6.QtUiTools import QUiLoader
from PySide6.QtWidgets import QWidget

from .pythonqt import API, Proxy, wrap
from .widgets import CTK, QMRML

DESIGNER_ONLY = {"geometry", "SlicerParameterName"}


def load_ui(path: str) -> Proxy:
    """Return the widget of a .ui file, with the connections between the scene and the node selectors.

    Raises:
        ValueError: A name in the file is not listed in api.json.
    """
    widgets, connections = _read(path)
    file = QBuffer()
    file.setData(widgets)
    widget = _loader().load(file)
    for connection in connections:
        _connect(widget, connection)
    return wrap(widget)  # type: ignore[no-any-return]


@functools.cache
def _loader() -> QUiLoader:
    loader = QUiLoader()
    for kind in (*CTK, *QMRML):
        loader.registerCustomWidget(kind)
    return loader


@functools.cache
def _read(path: str) -> tuple[bytes, list[dict[str, Any]]]:
    """Return a file without its connections, because QUiLoader does not know the type vtkMRMLScene*, and these."""
    tree = ElementTree.parse(path)  # noqa: S314  our own file
    for element in tree.iter("widget"):
        _check_widget(element)
    connections = [
        {part: element.findtext(part) for part in ("sender", "signal", "receiver",
            "slot")} for element in tree.iter("connection")
    ]  # fmt: skip
    for parent in tree.iter("connections"):
        parent.clear()
    return ElementTree.tostring(tree.getroot()), connections


def _check_widget(element: ElementTree.Element) -> None:
    kind = element.get("class", "")
    api = next((API[f"{module}.{kind}"] for module in ("qt", "ctk", "slicer") if f"{module}.{kind}" in API), None)
    if api is None:
        raise ValueError(f"The class {kind} of {element.get('name')} is not among those in use (api.json).")
    for item in element.findall("property"):
        if item.get("name") not in {*api["properties"], *API["qt.QWidget"]["properties"], *DESIGNER_ONLY}:
            raise ValueError(f"{kind} {element.get('name')} has no property {item.get('name')!r}.")


def _connect(root: QWidget, connection: dict[str, Any]) -> None:
    sender, receiver = (
        root if root.objectName() == connection[end] else root.findChild(QWidget, connection[end])
        for end in ("sender", "receiver")
    )
    slot = connection["slot"].partition("(")[0]
    if not wrap(sender).connect(connection["signal"], getattr(wrap(receiver), slot)):
        raise ValueError(f"{connection['sender']} has no signal {connection['signal']}.")
