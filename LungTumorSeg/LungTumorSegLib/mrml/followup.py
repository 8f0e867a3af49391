"""Follow-up in the scene: earlier results, the run of ``compare``, and the outlines of the earlier lesions.

A comparison belongs to the later segmentation and is saved with the scene.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import slicer

from ..core.boxes import box_of_label
from ..core.dates import date_of
from ..core.json_files import write_json
from ..core.selection import may_be_lesion
from ..core.terminology import REJECTED
from ..core.texts import printable
from ..core.volume import Volume
from ..correction.snapshot import Layer, SegmentInfo
from ..followup.file_names import CSV_FILE, CT_FILE, JSON_FILE, OUTLINES_FILE, REPORT_FILE
from ..followup.links import Choices
from ..io.nrrd import write_nrrd
from ..io.segment import UNSPECIFIED_COLORS, Segment
from ..process.command_run import CommandRun
from ..results.contents import SEGMENTATION_FILE, SUMMARY_FILE
from .nodes import (
    EARLIER_FOLDER_ATTRIBUTE,
    EARLIER_ROLE,
    FOLLOW_UP_ATTRIBUTE,
    Node,
)
from .results import ct_of, read_segmentation
from .segments import LayerCopies, segment_infos
from .stored_lesions import is_result, saved_summary
from .volume_nodes import volume_of_node

FAILURE = "The results could not be compared."
NO_SCENE_CT = "The CT of {name} is not in the scene; load it again."
OTHER_PATIENT = "{earlier} and {later} are CTs of different patients."

OWN = (CT_FILE, SEGMENTATION_FILE, SUMMARY_FILE)
"""The files that an examination of the scene is written to; messages call them by the name of the result."""

Write = Callable[[Path, threading.Event], None]
"""Writes one examination into a new folder; raises Cancelled soon after the event is set."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of ``compare``.

    Attributes:
        data: The content of followup.json.
        files: The content of followup.csv, followup.json and report.html by name.
        outlines: The vtkSegmentation of the earlier lesions, where they would lie in the later CT.
        earlier: The segmentation of the earlier CT, or its result folder.
    """

    data: dict[str, Any]
    files: Mapping[str, bytes]
    outlines: Node
    earlier: Node | Path


def earlier_results(later: Node) -> list[Node]:
    """Return the other results in the scene, the most likely earlier examination of the patient first.

    Results without a CT, and other results of the same CT, are omitted.
    """
    volume = ct_of(later)
    others = [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", later.GetScene())
        if node is not later and is_result(node) and ct_of(node) not in (None, volume)
    ]
    return sorted(others, key=lambda node: _unlikeliness(ct_of(node), volume))


def _unlikeliness(earlier: Node, later: Node) -> tuple[bool, bool, int]:
    days = days_between(earlier, later)
    return patient_of(earlier) != patient_of(later), days is None or days <= 0, abs(days or 0)


def patient_of(volume: Node) -> str:
    """Return the DICOM patient ID of a volume; empty if it is unknown."""
    return _attribute_above(volume, "DICOM.PatientID", 2)


def days_between(earlier: Node, later: Node) -> int | None:
    """Return the days from the study of one volume to that of another; None if a DICOM study date is unknown."""
    days = [_study_day(volume) for volume in (earlier, later)]
    return None if days[0] is None or days[1] is None else (days[1] - days[0]).days


def _study_day(volume: Node) -> date | None:
    return date_of(_attribute_above(volume, "DICOM.StudyDate", 1))


def _attribute_above(volume: Node, name: str, levels: int) -> str:
    """Return an attribute of the study (1 level) or patient (2 levels) of a volume in the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    item = hierarchy.GetItemByDataNode(volume)
    for _ in range(levels):
        if item == hierarchy.GetInvalidItemID():
            return ""
        item = hierarchy.GetItemParent(item)
    return "" if item == hierarchy.GetInvalidItemID() else str(hierarchy.GetItemAttribute(item, name))


def start_comparison(
    later: Node,
    earlier: Node | Path,
    temporary_folder: str,
    *,
    days: float | None = None,
    on_finished: Callable[[CommandRun], None] | None = None,
    choices: Choices | None = None,
    before: Sequence[Node | Path] = (),
) -> CommandRun:
    """Start the comparison of two results; the result of the run is a ``Comparison``. The scene is not changed.

    Args:
        later: The segmentation of the later CT.
        earlier: The segmentation of the earlier CT, or a result folder.
        temporary_folder: The folder in which the run creates its private folder.
        days: Time between the CTs, days; None if it is unknown.
        on_finished: Called with the run at its end.
        choices: What was linked and unlinked by hand. Choices about lesions that no longer exist are left out with a
            warning.
        before: Segmentations or result folders of examinations before the earlier one, oldest first; RECIST counts from
            the first of them. What was linked by hand between them is kept.

    Returns:
        The run, which the caller has to poll.

    Raises:
        ValueError: A CT is not in the scene, or the CTs are of different patients.
    """
    sources = {f"before-{number}": each for number, each in enumerate(before, start=1)}
    sources |= {"earlier": earlier, "later": later}
    nodes = {folder: each for folder, each in sources.items() if not isinstance(each, Path)}
    writers = {folder: _exporter(node) for folder, node in nodes.items()}
    _check_same_patient(list(nodes.values()))
    steps = [_step_choices(*pair) for pair in pairwise((*before, earlier))] + [choices or Choices()]
    links = {f"links-{number}.json": step for number, step in enumerate(steps, start=1)} if any(steps) else {}

    def prepare(private: Path, stop: threading.Event) -> None:
        for folder, write in writers.items():
            write(private / folder, stop)
        for name, step in links.items():
            by_name = {"lesions": [], "links": step.links, "unlinks": step.unlinks}
            write_json(private / name, by_name)

    def arguments(private: Path) -> Sequence[str]:
        results = [each if isinstance(each, Path) else private / folder for folder, each in sources.items()]
        return _arguments(private, results, links, days)

    return CommandRun(
        arguments,
        lambda private: _loaded(private / "out", earlier),
        temporary_folder=temporary_folder,
        failure=FAILURE,
        prepare=prepare,
        names={
            f"{folder}{end}": _called(node)
            for folder, node in nodes.items()
            for end in ("", *(f"/{each}" for each in OWN))
        },
        on_finished=on_finished,
    )


def _arguments(private: Path, results: Sequence[Path], links: Iterable[str], days: float | None) -> list[str]:
    """Return the arguments of the child process.

    Args:
        private: The private folder of the run.
        results: The examinations, oldest first.
        links: Names of the files of links in the private folder, one per step.
        days: Time between the last two examinations, days; None if it is unknown.
    """
    *past, earlier, later = map(str, results)
    arguments = ["compare", earlier, later]
    for path in past:
        arguments += ["--earlier", path]
    arguments += ["-o", str(private / "out"), "--outlines"]
    for name in links:
        arguments += ["--links", str(private / name)]
    return arguments if days is None else [*arguments, "--days", f"{days:g}"]


def examinations_before(earlier: Node | Path, later: Node) -> list[Node | Path]:
    """Return the examinations with which an earlier result was compared in this scene, and those before them.

    Args:
        earlier: The earlier result.
        later: The later result, which the others do not include.

    Returns:
        Segmentations and result folders, oldest first; a folder and a segmentation without CT end the search.
    """
    found: list[Node | Path] = []
    here = earlier
    while not isinstance(here, Path):
        before = _compared_with(here)
        if before is None or before is later or before is earlier or before in found:
            break
        if not isinstance(before, Path) and ct_of(before) is None:
            break
        found.insert(0, before)
        here = before
    return found


def _compared_with(later: Node) -> Node | Path | None:
    folder = later.GetAttribute(EARLIER_FOLDER_ATTRIBUTE)
    return later.GetNodeReference(EARLIER_ROLE) or (Path(folder) if folder else None)


def _step_choices(earlier: Node | Path, later: Node | Path) -> Choices:
    return Choices() if isinstance(later, Path) else choices_of(later, earlier)


def _check_same_patient(results: Sequence[Node]) -> None:
    """Refuse results of which two are of different patients, as far as these are known; the last one is the later."""
    *others, later = results
    for each in others:
        patients = {patient_of(ct_of(node)) for node in (each, later)}
        if "" not in patients and len(patients) > 1:
            cts = {"earlier": ct_of(each).GetName(), "later": ct_of(later).GetName()}
            raise ValueError(OTHER_PATIENT.format(**cts))


def _loaded(folder: Path, earlier: Node | Path) -> Comparison:
    """Return the comparison that the child process wrote into a folder."""
    files = {name: (folder / name).read_bytes() for name in (CSV_FILE, JSON_FILE, REPORT_FILE)}
    data = json.loads(files[JSON_FILE].decode("utf-8"))
    return Comparison(data, files, read_segmentation(folder / OUTLINES_FILE), earlier)


def _called(segmentation: Node) -> str:
    return printable(segmentation.GetName())


def _exporter(segmentation: Node) -> Write:
    """Take what one examination is now; what is returned writes it from another thread."""
    volume_node, content = ct_of(segmentation), segmentation.GetSegmentation()
    if volume_node is None:
        raise ValueError(NO_SCENE_CT.format(name=segmentation.GetName()))
    volume = volume_of_node(volume_node)  # a view that keeps the voxels alive
    layers = LayerCopies().of(content)
    infos = [info for info in segment_infos(content) if not (may_be_lesion(info) and info.review == REJECTED)]
    summary = json.dumps(saved_summary(segmentation), ensure_ascii=False)

    def write(folder: Path, stop: threading.Event) -> None:
        from ..io.seg_nrrd import write_segmentation  # imports SimpleITK, so only when needed

        folder.mkdir()
        write_nrrd(volume, folder / CT_FILE, stop)
        write_segmentation(_segments(layers, infos), folder / SEGMENTATION_FILE, grid=volume.grid)
        (folder / SUMMARY_FILE).write_text(summary, encoding="utf-8")

    return write


def _segments(layers: Sequence[Layer], infos: Sequence[SegmentInfo]) -> list[Segment]:
    """Return the segments that have voxels."""
    masks = ((info, _mask(layers, info.id)) for info in infos)
    color = UNSPECIFIED_COLORS[0]
    return [
        Segment(info.name, mask, color, info.terminology, id=info.id, review=info.review)
        for info, mask in masks
        if mask is not None
    ]


def _mask(layers: Sequence[Layer], segment_id: str) -> Volume | None:
    layer = next((each for each in layers if segment_id in each.values), None)
    box = None if layer is None else box_of_label(layer.labels.array, layer.values[segment_id])
    if layer is None or box is None:
        return None
    crop = layer.labels.crop(*box)
    return crop.with_array(crop.array == layer.values[segment_id])


def comparison_of(later: Node) -> dict[str, Any]:
    """Return the content of followup.json that belongs to a segmentation; empty if there is none."""
    text = later.GetAttribute(FOLLOW_UP_ATTRIBUTE)
    return {} if not text else dict(json.loads(text))


def choices_of(later: Node, earlier: Node | Path) -> Choices:
    """Return what was linked and unlinked by hand in the last comparison, if that was with this earlier result."""
    before = _compared_with(later)
    same = before == earlier if isinstance(earlier, Path) else before is earlier
    return Choices.of(comparison_of(later)) if same else Choices()


def lesion_names(segmentation: Node) -> list[str]:
    """Return the names of the lesions of a segmentation that take part in a comparison."""
    infos = segment_infos(segmentation.GetSegmentation())
    return [info.name for info in infos if may_be_lesion(info) and info.review != REJECTED]


def volumes_over_time(later: Node, lesion: Mapping[str, Any]) -> list[float]:
    """Return the volumes of a lesion, mL, oldest first, with those of earlier comparisons in the scene.

    Args:
        later: The later segmentation of a comparison.
        lesion: An entry of its followup.json.
    """
    return _volumes(later, lesion, ())


def _volumes(later: Node, lesion: Mapping[str, Any], seen: tuple[Node, ...]) -> list[float]:
    own = list(lesion.get("volumes_ml") or (lesion["volume_earlier_ml"], lesion["volume_later_ml"]))
    before = later.GetNodeReference(EARLIER_ROLE)
    if before is None or before in seen or len(own) > 2:
        return own
    names = {piece["segment"] for piece in lesion["earlier"]}
    same = [
        _volumes(before, each, (*seen, later))[:-1]
        for each in comparison_of(before).get("lesions", ())
        if names & {piece["segment"] for piece in each["later"]}
    ]
    count = max(map(len, same), default=0)
    return [*(sum(column) for column in zip(*([0.0] * (count - len(each)) + each for each in same), strict=True)), *own]
