"""Extract api.json, the interface of the classes in use, from a dump of the meta objects of a running Slicer.

Usage: python cut_api.py slicer-qt-api.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

API_FILE = Path(__file__).with_name("api.json")

WIDGETS = (
    "qt.QCheckBox", "qt.QComboBox", "qt.QDoubleSpinBox", "qt.QLabel", "qt.QLineEdit", "qt.QProgressBar",
    "qt.QPushButton", "qt.QSpinBox",
    "qt.QTableWidget", "ctk.ctkCollapsibleButton", "ctk.ctkDirectoryButton", "ctk.ctkSliderWidget",
    "slicer.qMRMLNodeComboBox",
    "slicer.qMRMLSegmentEditorWidget", "slicer.qMRMLThreeDWidget", "slicer.qMRMLWidget",
)  # fmt: skip
OTHERS = (
    "qt.QHeaderView",
    "qt.QIcon",
    "qt.QPixmap",
    "qt.QSettings",
    "qt.QTimer",
    "qt.QVBoxLayout",
    "slicer.qMRMLLayoutManager",
)
KINDS = ("properties", "signals", "slots", "methods")


def cut(full: dict[str, Any]) -> dict[str, Any]:
    """Return the interface of the classes in use; a widget lists only what it adds to QWidget."""
    classes, widget = full["classes"], full["classes"]["qt.QWidget"]
    table: dict[str, Any] = {"qt.QWidget": {kind: widget[kind] for kind in KINDS}}
    for name in OTHERS:
        table[name] = {kind: classes[name].get(kind, {} if kind == "properties" else []) for kind in KINDS}
    for name in WIDGETS:
        table[name] = {
            kind: {key: kind_ for key, kind_ in classes[name][kind].items() if key not in widget[kind]}
            if kind == "properties"
            else [entry for entry in classes[name][kind] if entry not in widget[kind]]
            for kind in KINDS
        }
    table["slicer.app"] = {kind: full["slicer.app"][kind] for kind in KINDS}
    table["slicer.modules"] = full["slicer.modules"]
    table["slicer.util"] = sorted(full["slicer.util"])
    table["slicer.packaging"] = full["slicer.packaging"]
    return table


if __name__ == "__main__":
    table = cut(json.loads(Path(sys.argv[1]).read_text()))
    API_FILE.write_text(
        "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in table.items()) + "\n}\n"
    )
