"""The lesions of a segmentation as the scene keeps them, the network's answer beside it, and the summary of the run.

Rows are kept in attributes of the segmentation as JSON, since Slicer saves the numbers of a table with six digits only; the table node
shows them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import vtk

from ..core.colors import Color
from ..core.terminology import REJECTED
from ..correction.snapshot import Measures
from ..results.lesion_rows import FIRST_COLUMNS, UNITS, LesionRow, columns_of, rows_of
from .nodes import ANSWER_ROLE, COLOR_BY_ATTRIBUTE, MEASURES_ATTRIBUTE, SUMMARY_ATTRIBUTE, TABLE_ROLE, Node, referenced


def lesions_of(segmentation: Node) -> list[LesionRow]:
    """The segmentation's lesions, as stored in the scene; none where nothing was measured."""
    return rows_of(columns_of(stored_rows(segmentation)))


def stored_rows(segmentation: Node) -> list[dict[str, Any]]:
    """The lesions as summary.json has them: as they were measured after the last correction, or else by the run."""
    rows = _json_of(segmentation, MEASURES_ATTRIBUTE).get("rows")
    return rows_with_marks(segmentation, summary_of(segmentation).get("lesions", [])) if rows is None else rows


def color_by(segmentation: Node) -> str:
    """By what the lesions are colored in the views: "number" (each its own color), "volume" or "confidence"."""
    return segmentation.GetAttribute(COLOR_BY_ATTRIBUTE) or "number"


def shown_color(segmentation: Node, segment_id: str) -> Color:
    """The color (red, green, blue of 0 to 1) in which the views show a segment."""
    display = segmentation.GetDisplayNode()
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    red, green, blue = segment.GetColor() if display is None else display.GetSegmentColor(segment_id)
    return red, green, blue


def numbers_of(segmentation: Node) -> dict[str, int]:
    """The numbers that the table shows, by segment id."""
    return {row["segment_id"]: row["number"] for row in stored_rows(segmentation)}


def summary_of(segmentation: Node) -> dict[str, Any]:
    """The summary.json of the run that made the segmentation, with the spread as it is after corrections; empty where no run did."""
    measures = _json_of(segmentation, MEASURES_ATTRIBUTE)
    return {
        **_json_of(segmentation, SUMMARY_ATTRIBUTE),
        **{name: measures[name] for name in ("spread", "removed") if name in measures},
    }


def is_measured(segmentation: Node) -> bool:
    """False where the scene was saved while lesions were being measured after an edit."""
    return bool(_json_of(segmentation, MEASURES_ATTRIBUTE).get("complete", True))


def _json_of(segmentation: Node, attribute: str) -> dict[str, Any]:
    stored = segmentation.GetAttribute(attribute)
    return dict(json.loads(stored)) if stored else {}


def keep_answer(segmentation: Node, answer: Node) -> None:
    """Keeps ``answer`` (a vtkSegmentation) as what the network has found, in a node that no list shows and that is saved with the scene."""
    node = referenced(
        segmentation, ANSWER_ROLE, "vtkMRMLSegmentationNode", f"{segmentation.GetName()} network's answer"
    )
    node.HideFromEditorsOn()
    node.SetAttribute("SubjectHierarchy.ExcludeFromTree", "1")
    node.SetAndObserveSegmentation(answer)
    hide_answer(segmentation)


def hide_answer(segmentation: Node) -> None:
    """Keep the network's answer out of the views: Slicer shows a segmentation that comes without a display node from a file."""
    node = segmentation.GetNodeReference(ANSWER_ROLE)
    if node is not None:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility(False)


def answer_of(segmentation: Node) -> Node:
    """The vtkSegmentation that the network has found; None where that is not known."""
    node = segmentation.GetNodeReference(ANSWER_ROLE)
    return None if node is None else node.GetSegmentation()


def rows_with_marks(segmentation: Node, lesions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a fresh run, to which nobody has done anything yet, with the columns that say so."""
    answer = answer_of(segmentation)
    return [
        lesion
        | {
            "correction": "",
            "review": "",
            "network_volume_ml": lesion["volume_ml"],
            "segment_id": "" if answer is None else answer.GetSegmentIdBySegmentName(lesion["segment"]),
        }
        for lesion in lesions
    ]


def saved_summary(segmentation: Node) -> dict[str, Any]:
    """summary.json as the scene has it now: of the run, with the lesions that count, those ``rejected``, and what was ``removed``."""
    rows = stored_rows(segmentation)
    found = network_rows(segmentation)
    summary = {
        name: value for name, value in summary_of(segmentation).items() if name != "files"
    }  # those of the run's own folder
    counted = without_rejected(rows)
    if summary.get("removed") or any(row["correction"] or row["review"] for row in rows):
        summary["message"] = f"{len(counted)} lesion{'' if len(counted) == 1 else 's'} after correction by a person"
        summary.pop("margins", None)  # they were about the network's lesions
    return summary | {
        "lesions": counted,
        "rejected": [row for row in rows if row["review"] == REJECTED],
        "removed": [
            {"segment_id": name, "segment": found[name]["segment"], "network_volume_ml": found[name]["volume_ml"]}
            for name in summary.get("removed", [])
            if name in found
        ],
    }


def without_rejected(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lesions that count."""
    return [row for row in rows if row["review"] != REJECTED]


def store_measures(segmentation: Node, measures: Measures) -> None:
    """Brings what was measured after a correction into the scene: the table's rows, the spread, and what was removed."""
    rows, spread = list(measures.rows), dict(measures.spread)
    if not measures.complete:
        before = {row["segment_id"]: row for row in stored_rows(segmentation)}
        rows = [_first_known(row, before.get(row["segment_id"], {})) for row in rows]
        spread = _spread_meanwhile(spread, summary_of(segmentation).get("spread", {}))
    known = {
        "rows": rows,
        "spread": spread,
        "removed": list(measures.removed),
        "complete": measures.complete,
    }
    stored = json.dumps(known)
    if segmentation.GetAttribute(MEASURES_ATTRIBUTE) != stored:  # else nobody has to look again
        segmentation.SetAttribute(MEASURES_ATTRIBUTE, stored)
        fill_table(referenced(segmentation, TABLE_ROLE, "vtkMRMLTableNode", f"{segmentation.GetName()} table"), rows)


def _first_known(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """What is not measured yet stays as it was: a side or a distance is better old than missing while a person paints."""
    return {name: before.get(name, value) if value in (None, []) else value for name, value in now.items()}


def _spread_meanwhile(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The spread with what was known before, and the lesions' new share of the lungs as they were."""
    spread = _first_known(now, before)
    if now.get("lung_ml") is None and spread.get("lung_ml"):
        spread["burden_percent"] = 100 * spread["burden_ml"] / spread["lung_ml"]
    return spread


def network_rows(segmentation: Node) -> dict[str, dict[str, Any]]:
    """The rows that the run gave the network's lesions, by segment id."""
    answer = answer_of(segmentation)
    lesions = summary_of(segmentation).get("lesions", []) if answer is not None else []
    return {answer.GetSegmentIdBySegmentName(lesion["segment"]): lesion for lesion in lesions}


def fill_table(node: Node, lesions: Sequence[dict[str, Any]]) -> None:
    """Shows lesions in a table node."""
    modified = node.StartModify()
    node.RemoveAllColumns()
    for name, values in columns_of(lesions).items():
        kind = FIRST_COLUMNS.get(name, type(values[0]) if values else float)
        column = {int: vtk.vtkIntArray, str: vtk.vtkStringArray, float: vtk.vtkDoubleArray}[kind]()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        node.AddColumn(column)
        node.SetColumnUnitLabel(name, UNITS.get(name[-3:], ""))
    node.EndModify(modified)
