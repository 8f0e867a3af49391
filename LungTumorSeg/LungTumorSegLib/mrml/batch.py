"""Batches: the CTs of the scene as input of ``lungtumorseg batch``, and its results one at a time in the scene."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer

from ..cohort.items import folder_name
from ..cohort.records import REFUSED
from ..core.events import Cancelled
from ..core.volume import Volume
from ..io.nrrd import write_nrrd
from ..options import SegmentOptions
from ..process.child import Event
from ..process.command_run import CommandRun
from ..results.reader import RunFiles, read_run
from .nodes import Node
from .results import load_results
from .volume_nodes import CT_ATTRIBUTE, new_volume, volume_of_node

FAILURE = "The batch could not be run."
TABLE_FILE = "table.csv"

PHASE = "_phase_"
"""Between the name of a 4D CT and the number of its phase."""


@dataclass(frozen=True, eq=False)
class SceneCT:
    """A CT of the scene, or a phase of one that a sequence browser shows.

    Attributes:
        case: Name of the case, and of its result folder.
        node: The volume node.
        browser: The sequence browser; None for a 3D CT.
        phase: The number of the phase in the sequence, from 0; None for a 3D CT.
    """

    case: str
    node: Node
    browser: Node = None
    phase: int | None = None

    def volume(self) -> Volume:
        """Return the voxels, a view that keeps them alive.

        Raises:
            ValueError: The node is not a CT, or its axes are sheared.
        """
        return volume_of_node(
            self.node if self.phase is None else self.browser.GetSequenceNode(self.node).GetNthDataNode(self.phase)
        )

    def show(self) -> None:
        """Let the sequence browser show the phase."""
        if self.browser is not None and self.browser.GetScene() is not None:
            self.browser.SetSelectedItemNumber(self.phase)


def scene_cts(scene: Node) -> list[SceneCT]:
    """Return the CTs of a scene, and each phase of a sequence, under names that differ."""
    found: list[SceneCT] = []
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        if node.GetAttribute(CT_ATTRIBUTE) and not node.GetHideFromEditors():
            taken = {ct.case.casefold().partition(PHASE)[0] for ct in found}
            case = _free_case(folder_name(node.GetName()), taken)
            browser, phases = _sequence_of(node)
            several = [SceneCT(f"{case}{PHASE}{number:02d}", node, browser, number) for number in range(phases)]
            found += several or [SceneCT(case, node)]
    return found


def _sequence_of(node: Node) -> tuple[Node, int]:
    """Return the browser that shows a sequence in a volume node and the number of phases; None and 0 without one."""
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode", node.GetScene()):
        sequence = browser.GetSequenceNode(node)
        if sequence is not None and sequence.GetNumberOfDataNodes() > 1:
            return browser, sequence.GetNumberOfDataNodes()
    return None, 0


def _free_case(name: str, taken: Collection[str]) -> str:
    """Return ``name``, with a number if it is taken; letter case does not tell folders apart on every system."""
    number, case = 1, name
    while case.casefold() in taken:
        number += 1
        case = f"{name}_{number}"
    return case


def start_batch(
    source: Path | Sequence[SceneCT],
    output: Path,
    options: SegmentOptions | Mapping[str, Any] | None,
    *,
    temporary_folder: str,
    on_event: Callable[[Event], None] | None = None,
    on_finished: Callable[[CommandRun], None] | None = None,
) -> CommandRun:
    """Start ``lungtumorseg batch`` as a child process; the scene is not changed.

    Args:
        source: A folder or table, or CTs of the scene, which are written into a private folder first.
        output: The output folder; results that it already has are kept, as the command line does.
        options: The options of each run.
        temporary_folder: The folder in which the run creates its private folder.
        on_event: Called with each event "progress" and "item"; the state of an item is first "waiting".
        on_finished: Called with the run at its end.

    Returns:
        The run, which the caller has to poll.

    Raises:
        ValueError: If an option is unknown or out of range, or none of the CTs can be used.
    """
    chosen = SegmentOptions.of(options).arguments()
    volumes = {} if isinstance(source, Path) else _volumes(source, on_event)

    def prepare(private: Path, stop: threading.Event) -> None:
        if isinstance(source, Path):
            return
        for case, volume in volumes.items():
            write_nrrd(volume, private / f"{case}.nrrd", stop)
        with (private / TABLE_FILE).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("case", "patient", "phase", "path"), *map(_row, volumes)])

    def arguments(private: Path) -> Sequence[str]:
        place = source if isinstance(source, Path) else private / TABLE_FILE
        channel = ["--events", "jsonl", "--cancel-on-eof"]
        return ["batch", str(place), "-o", str(output), "--surfaces", *chosen, *channel]

    return CommandRun(
        arguments,
        lambda private: output,
        temporary_folder=temporary_folder,
        failure=FAILURE,
        prepare=prepare,
        on_event=on_event,
        on_finished=on_finished,
    )


def _row(case: str) -> tuple[str, str, str, str]:
    """Return case, patient, phase and path; phases belong together by their patient, who is the 4D CT here."""
    name, is_phase, number = case.rpartition(PHASE)
    return case, name if is_phase else "", str(int(number)) if is_phase else "", f"{case}.nrrd"


def _volumes(cts: Sequence[SceneCT], on_event: Callable[[Event], None] | None) -> dict[str, Volume]:
    """Return the voxels (views, which keep them alive) by case; a CT that cannot be used is reported as refused."""
    volumes, problem = {}, ValueError("There is no CT in the scene.")
    for ct in cts:
        try:
            volumes[ct.case] = ct.volume()
        except ValueError as error:
            problem = error
            if on_event is not None:
                on_event({"event": "item", "case": ct.case, "state": REFUSED, "reason": str(error)})
    if not volumes:
        raise problem
    return volumes


class ResultLoading:
    """Load one result of a batch, and its CT unless that is in the scene; files are read in a thread.

    Attributes:
        result: After the end, the segmentation node; None if it could not be loaded.
        error: After the end, why it could not be loaded: a RuntimeError, ValueError or OSError.
        finished: Whether the loading has ended.
    """

    def __init__(
        self,
        folder: Path,
        scene: Node,
        volume_node: Node,
        *,
        path: Path,
        series: str = "",
        phase: int | None = None,
        on_finished: Callable[[ResultLoading], None] | None = None,
    ) -> None:
        """Start to read.

        Args:
            folder: The result folder.
            scene: Receives the nodes.
            volume_node: The CT in the scene; None reads it from ``path``.
            path: The CT, as the batch read it.
            series: The series of a DICOM folder; "" if it has only one.
            phase: The phase of a 4D CT; None for a 3D CT.
            on_finished: Called with this object at the end, unless it was closed.
        """
        self.result: Node = None
        self.error: Exception | None = None
        self.finished = False
        self._folder, self._path, self._series, self._phase = folder, path, series, phase
        self._scene, self._volume_node, self._on_finished = scene, volume_node, on_finished
        self._files: RunFiles | None = None
        self._ct: Volume | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def poll(self) -> None:
        """Load what was read into the scene, once it is there."""
        if not self.finished and not self._thread.is_alive():
            self.finished = True
            self._load()
            if self._on_finished is not None:
                self._on_finished(self)

    def close(self) -> None:
        """Forget the result; the scene no longer changes."""
        self._on_finished = None
        if not self.finished:
            self.finished, self.error = True, Cancelled()

    def _read(self) -> None:
        try:
            self._files = read_run(self._folder)
            if self._volume_node is None:
                from ..io.images import read_ct  # imports pydicom for DICOM, so only if needed

                self._ct = read_ct(self._path, series=self._series or None, phase=self._phase)
        except (OSError, ValueError, RuntimeError) as error:  # ``poll`` reports it
            self.error = error

    def _load(self) -> None:
        if self._files is None or self.error is not None:
            return
        try:
            if self._ct is not None:
                self._volume_node = new_volume(self._scene, self._ct, self._folder.name)
            self.result = load_results(self._files, self._volume_node)
        except RuntimeError as error:
            self.error = error
