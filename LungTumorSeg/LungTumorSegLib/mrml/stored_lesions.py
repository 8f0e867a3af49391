"""The lesions of a segmentation as stored in the scene, together with the network's result and the summary of the run.

Rows are stored as JSON in attributes of the segmentation, because Slicer saves the numbers of a table with only six
digits. The table node displays them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import vtk

from ..core.colors import Color
from ..core.terminology import REJECTED
from ..core.texts import counted
from ..correction.snapshot import Measures
from ..results.lesion_rows import LesionRow, columns_of, rows_of, type_of, unit_of
from .nodes import (
    COLOR_BY_ATTRIBUTE,
    MEASURES_ATTRIBUTE,
    ORIGINAL_ROLE,
    SUMMARY_ATTRIBUTE,
    TABLE_ROLE,
    Node,
    referenced,
)


def lesions_of(segmentation: Node) -> list[LesionRow]:
    """Return the lesions of the segmentation as stored in the scene; empty if nothing was measured."""
    return rows_of(columns_of(stored_rows(segmentation)))


def stored_rows(segmentation: Node) -> list[dict[str, Any]]:
    """Return the lesion rows in the form of summary.json.

    The rows come from the last measurement after a correction or, if there is none, from the run.
    """
    rows = _json_of(segmentation, MEASURES_ATTRIBUTE).get("rows")
    return rows_with_marks(segmentation, summary_of(segmentation).get("lesions", [])) if rows is None else rows


def color_by(segmentation: Node) -> str:
    """Return what determines the lesion colors: "number" (each its own color), "volume" or "confidence"."""
    return segmentation.GetAttribute(COLOR_BY_ATTRIBUTE) or "number"


def shown_color(segmentation: Node, segment_id: str) -> Color:
    """Return the color of a segment in the views (red, green, blue, each 0 to 1)."""
    display = segmentation.GetDisplayNode()
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    red, green, blue = segment.GetColor() if display is None else display.GetSegmentColor(segment_id)
    return red, green, blue


def numbers_of(segmentation: Node) -> dict[str, int]:
    """Return the lesion numbers of the table by segment id."""
    return {row["segment_id"]: row["number"] for row in stored_rows(segmentation)}


def summary_of(segmentation: Node) -> dict[str, Any]:
    """Return the summary.json of the run that created the segmentation; empty if no run did.

    The spread and the removed lesions are those after the last correction, whose warnings are added to those of the
    run.
    """
    summary, measures = (_json_of(segmentation, each) for each in (SUMMARY_ATTRIBUTE, MEASURES_ATTRIBUTE))
    if warnings := dict.fromkeys([*summary.get("warnings", []), *measures.get("warnings", [])]):
        summary["warnings"] = list(warnings)
    return {**summary, **{name: measures[name] for name in ("spread", "removed") if name in measures}}


def is_measured(segmentation: Node) -> bool:
    """Return False if the scene was saved before all lesions were measured after an edit."""
    return bool(_json_of(segmentation, MEASURES_ATTRIBUTE).get("complete", True))


def _json_of(segmentation: Node, attribute: str) -> dict[str, Any]:
    stored = segmentation.GetAttribute(attribute)
    return dict(json.loads(stored)) if stored else {}


def keep_original(segmentation: Node, original: Node) -> None:
    """Store the network's result in a hidden segmentation node that is saved with the scene.

    Args:
        segmentation: The segmentation node that refers to the hidden node.
        original: The network's result, a vtkSegmentation.
    """
    node = referenced(
        segmentation, ORIGINAL_ROLE, "vtkMRMLSegmentationNode", f"{segmentation.GetName()} network's answer"
    )
    node.HideFromEditorsOn()
    node.SetAttribute("SubjectHierarchy.ExcludeFromTree", "1")
    node.SetAndObserveSegmentation(original)
    hide_original(segmentation)


def hide_original(segmentation: Node) -> None:
    """Hide the network's result in all views.

    Slicer shows a segmentation that is loaded from a file without a display node.
    """
    node = segmentation.GetNodeReference(ORIGINAL_ROLE)
    if node is not None:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility(False)


def original_of(segmentation: Node) -> Node:
    """Return the network's result, a vtkSegmentation; None if it is not known."""
    node = segmentation.GetNodeReference(ORIGINAL_ROLE)
    return None if node is None else node.GetSegmentation()


def rows_with_marks(segmentation: Node, lesions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the columns for corrections and reviews to the lesion rows of a new run, which has neither yet."""
    original = original_of(segmentation)
    return [
        lesion
        | {
            "correction": "",
            "review": "",
            "network_volume_ml": lesion["volume_ml"],
            "segment_id": "" if original is None else original.GetSegmentIdBySegmentName(lesion["segment"]),
        }
        for lesion in lesions
    ]


def saved_summary(segmentation: Node) -> dict[str, Any]:
    """Return the content of summary.json for the current state of the scene.

    It is the summary of the run with the current lesions; ``rejected`` lists the rejected lesions and ``removed`` the
    lesions that were found by the network and removed by a person.
    """
    rows = stored_rows(segmentation)
    found = network_rows(segmentation)
    summary = {
        name: value for name, value in summary_of(segmentation).items() if name != "files"
    }  # these name the files of the run's own folder
    kept = without_rejected(rows)
    if summary.get("removed") or any(row["correction"] or row["review"] for row in rows):
        summary["message"] = f"{counted(len(kept), 'lesion')} after correction by a person"
        summary.pop("margins", None)  # computed for the network's lesions
    return summary | {
        "lesions": kept,
        "rejected": [row for row in rows if row["review"] == REJECTED],
        "removed": [
            {"segment_id": name, "segment": found[name]["segment"], "network_volume_ml": found[name]["volume_ml"]}
            for name in summary.get("removed", [])
            if name in found
        ],
    }


def without_rejected(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the lesions that were not rejected."""
    return [row for row in rows if row["review"] != REJECTED]


def store_measures(segmentation: Node, measures: Measures) -> None:
    """Store the measurements made after a correction: table rows, spread and removed lesions.

    While a measurement is incomplete, values that are not measured yet keep their former value.
    """
    rows, spread, warnings = list(measures.rows), dict(measures.spread), list(measures.warnings)
    if not measures.complete:
        before = {row["segment_id"]: row for row in stored_rows(segmentation)}
        rows = [_first_known(row, before.get(row["segment_id"], {})) for row in rows]
        spread = _spread_meanwhile(spread, summary_of(segmentation).get("spread", {}))
        warnings = warnings or _json_of(segmentation, MEASURES_ATTRIBUTE).get("warnings", [])
    known = {
        "rows": rows,
        "spread": spread,
        "removed": list(measures.removed),
        "complete": measures.complete,
        "warnings": warnings,
    }
    stored = json.dumps(known)
    if segmentation.GetAttribute(MEASURES_ATTRIBUTE) != stored:  # an unchanged attribute should not trigger observers
        segmentation.SetAttribute(MEASURES_ATTRIBUTE, stored)
        fill_table(referenced(segmentation, TABLE_ROLE, "vtkMRMLTableNode", f"{segmentation.GetName()} table"), rows)


def _first_known(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Replace the values that are not measured yet by their former values.

    While a person paints, an outdated side or distance is more useful than none.
    """
    return {name: before.get(name, value) if value in (None, []) else value for name, value in now.items()}


def _spread_meanwhile(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Complete the spread with its former values; the share of the lungs uses the new lesion volume."""
    spread = _first_known(now, before)
    if now.get("lung_ml") is None and spread.get("lung_ml"):
        spread["burden_percent"] = 100 * spread["burden_ml"] / spread["lung_ml"]
    return spread


def network_rows(segmentation: Node) -> dict[str, dict[str, Any]]:
    """Return the rows of the network's lesions, as measured by the run, by segment id."""
    original = original_of(segmentation)
    lesions = summary_of(segmentation).get("lesions", []) if original is not None else []
    return {original.GetSegmentIdBySegmentName(lesion["segment"]): lesion for lesion in lesions}


def fill_table(node: Node, lesions: Sequence[dict[str, Any]]) -> None:
    """Write the lesions into a table node."""
    modified = node.StartModify()
    node.RemoveAllColumns()
    for name, values in columns_of(lesions).items():
        column = {int: vtk.vtkIntArray, str: vtk.vtkStringArray, float: vtk.vtkDoubleArray}[type_of(name, values)]()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        node.AddColumn(column)
        node.SetColumnUnitLabel(name, unit_of(name))
    node.EndModify(modified)


def is_result(segmentation: Node) -> bool:
    """Return whether the segmentation was measured, by a run of this extension or after a correction."""
    return any(segmentation.GetAttribute(name) for name in (SUMMARY_ATTRIBUTE, MEASURES_ATTRIBUTE))
