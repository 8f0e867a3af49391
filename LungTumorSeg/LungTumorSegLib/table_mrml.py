"""The lesion table in the scene, the network's answer beside it, and the summary of the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import vtk

from .correction.snapshot import Measures
from .lesion_rows import FIRST_COLUMNS, UNITS, LesionRow, columns_of, rows_of
from .nodes_mrml import ANSWER_ROLE, MEASURES_ATTRIBUTE, SUMMARY_ATTRIBUTE, TABLE_ROLE, Node, referenced
from .terminology import REJECTED


def lesions_of(segmentation: Node) -> list[LesionRow]:
    """The rows of the segmentation's lesion table, as stored in the scene; empty without one."""
    return rows_of(columns_in_scene(segmentation))


def summary_of(segmentation: Node) -> dict[str, Any]:
    """The summary.json of the run that made the segmentation, with the spread as it is after corrections; empty where no run did."""
    stored = segmentation.GetAttribute(SUMMARY_ATTRIBUTE), segmentation.GetAttribute(MEASURES_ATTRIBUTE)
    summary, measures = (json.loads(text) if text else {} for text in stored)
    return {**summary, **measures}


def keep_answer(segmentation: Node, answer: Node) -> None:
    """Keeps ``answer`` (a vtkSegmentation) as what the network has found, in a node that no list shows and that is saved with the scene."""
    node = referenced(segmentation, ANSWER_ROLE, "vtkMRMLSegmentationNode", f"{segmentation.GetName()} network's answer")
    node.HideFromEditorsOn()
    node.SetAttribute("SubjectHierarchy.ExcludeFromTree", "1")
    node.SetAndObserveSegmentation(answer)


def answer_of(segmentation: Node) -> Node:
    """The vtkSegmentation that the network has found; None where that is not known."""
    node = segmentation.GetNodeReference(ANSWER_ROLE)
    return None if node is None else node.GetSegmentation()


def rows_with_marks(segmentation: Node, lesions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a fresh run, to which nobody has done anything yet, with the columns that say so."""
    answer = answer_of(segmentation)
    return [
        lesion | {"correction": "", "review": "", "network_volume_ml": lesion["volume_ml"],
                  "segment_id": answer.GetSegmentIdBySegmentName(lesion["segment"])}
        for lesion in lesions
    ]


def saved_summary(segmentation: Node) -> dict[str, Any]:
    """summary.json as the scene has it now: of the run, with the lesions that count, those ``rejected``, and what was ``removed``."""
    columns = columns_in_scene(segmentation)
    rows = [dict(zip(columns, map(_known, values), strict=True)) for values in zip(*columns.values(), strict=True)]
    found = network_rows(segmentation)
    summary = {name: value for name, value in summary_of(segmentation).items() if name != "files"}  # those of the run's own folder
    return summary | {
        "lesions": [row for row in rows if row.get("review") != REJECTED],
        "rejected": [row for row in rows if row.get("review") == REJECTED],
        "removed": [{"segment_id": name, "segment": found[name]["segment"], "network_volume_ml": found[name]["volume_ml"]}
                    for name in summary.get("removed", []) if name in found],
    }


def without_rejected(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns of the lesions that count."""
    reviews = columns.get("review")
    if reviews is None:
        return columns
    return {name: [value for value, review in zip(values, reviews, strict=True) if review != REJECTED] for name, values in columns.items()}


def _known(value: Any) -> Any:
    return None if value == "" or value != value else value  # nan is not equal to itself


def store_measures(segmentation: Node, measures: Measures) -> None:
    """Brings what was measured after a correction into the scene: the table's rows, the spread, and what was removed."""
    table = referenced(segmentation, TABLE_ROLE, "vtkMRMLTableNode", f"{segmentation.GetName()} table")
    modified = table.StartModify()
    fill_table(table, measures.rows)
    table.EndModify(modified)
    segmentation.SetAttribute(MEASURES_ATTRIBUTE, json.dumps({"spread": measures.spread, "removed": list(measures.removed)}))


def network_rows(segmentation: Node) -> dict[str, dict[str, Any]]:
    """The rows that the run gave the network's lesions, by segment id."""
    answer = answer_of(segmentation)
    lesions = summary_of(segmentation).get("lesions", []) if answer is not None else []
    return {answer.GetSegmentIdBySegmentName(lesion["segment"]): lesion for lesion in lesions}


def fill_table(node: Node, lesions: Sequence[dict[str, Any]]) -> None:
    node.RemoveAllColumns()
    for name, values in columns_of(lesions).items():
        kind = FIRST_COLUMNS.get(name, type(values[0]) if values else float)
        column = {int: vtk.vtkIntArray, str: vtk.vtkStringArray, float: vtk.vtkDoubleArray}[kind]()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        node.AddColumn(column)
        node.SetColumnUnitLabel(name, UNITS.get(name[-3:], ""))


def columns_in_scene(segmentation: Node) -> dict[str, list[Any]]:
    node = segmentation.GetNodeReference(TABLE_ROLE)
    if node is None:
        return {}
    table = node.GetTable()
    columns = [table.GetColumn(i) for i in range(table.GetNumberOfColumns())]
    return {column.GetName(): [column.GetValue(row) for row in range(column.GetNumberOfValues())] for column in columns}
