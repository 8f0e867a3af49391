"""Which slices belong together: series by their UID, and within a series stacks, each one acquisition.

Archives and phase sorting put several acquisitions into one series. What the slices of a stack share is compared before positions
are: patient, study, frame of reference, kernel, phase, size and orientation. An acquisition number, a time or an instance number
may grow from slice to slice; there, slices are of several acquisitions if their places start over again.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..core.errors import UnusableInput
from ..core.texts import listed, shown
from ..core.volume import Array
from .dicom_slices import CTSlice
from .dicom_values import DicomHeader
from .plausibility import MIN_SLICES
from .slice_passes import are_apart, follow_each_other, interleaved_passes, runs_of_blocks
from .slice_stack import PARALLEL_TOLERANCE, Planes, groups_at_same_place, planes_of, regular_steps

SHARED_SECRETS = ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID")
"""Attributes that a stack shares and that no message repeats, since they tell who the patient is."""

SHARED = (
    "SeriesNumber", "SeriesDescription", "ConvolutionKernel", "TemporalPositionIdentifier", "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase", "NominalPercentageOfRespiratoryPhase",
)  # fmt: skip
"""Further attributes that a stack shares."""

ACQUISITION_NUMBER = "AcquisitionNumber"
INSTANCE_NUMBER = "InstanceNumber"

SIZE, PLANE = "their number of rows or columns", "orientation or pixel spacing"

LONGEST_VALUE = 40
"""Characters of a description or UID in a list."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of one acquisition.

    ``label`` says what tells them from the other stacks of their series, ``split_by`` what divided a pile of slices that share all
    other attributes; both are "" where there is nothing to tell.
    """

    slices: list[CTSlice]
    label: str = ""
    split_by: str = ""

    @property
    def planes(self) -> Planes:
        """Where the slices lie, by the orientation and pixel spacing of the first."""
        first = self.slices[0]
        return planes_of(
            np.array([each.position_lps for each in self.slices]),
            np.array(first.orientation),
            np.array(first.pixel_spacing_mm),
        )


def choose_series(headers: list[DicomHeader], path: Path, series: str | None) -> tuple[str, list[DicomHeader]]:
    """Return the UID and the slices of the asked series, of the only one, or of the only one that is long enough.

    Raises UnusableInput if the asked one is not there, or if several are and none is asked for.
    """
    all_series: dict[str, list[DicomHeader]] = defaultdict(list)
    for header in headers:
        all_series[header.text("SeriesInstanceUID")].append(header)
    if series is not None:
        if series not in all_series:
            raise UnusableInput(
                f"{shown(path)} holds no CT series {shown(series, 64)}; choose one of: {_series_list(all_series)}."
            )
        return series, all_series[series]
    if len(all_series) > 1:
        long_enough = {uid: members for uid, members in all_series.items() if len(members) >= MIN_SLICES}
        if len(long_enough) != 1:
            raise UnusableInput(
                f"{shown(path)} holds {len(all_series)} CT series; choose one with --series: {_series_list(all_series)}."
            )
        all_series = long_enough
    return next(iter(all_series.items()))


def _series_list(all_series: dict[str, list[DicomHeader]]) -> str:
    """Return the series, the longest first."""
    by_length = sorted(all_series.items(), key=lambda item: (-len(item[1]), item[0]))
    return listed(
        [f"{shown(uid, 64)} ({_description(members[0])}, {len(members)} slices)" for uid, members in by_length],
        separator="; ",
    )


def _description(header: DicomHeader) -> str:
    return shown(" ".join(header.text("SeriesDescription").split()), LONGEST_VALUE) or "no description"


def choose_stack(slices: list[CTSlice], path: Path, uid: str, number: int | None) -> Stack:
    """Return the only stack of a series, or stack ``number`` (from 1).

    Raises UnusableInput if there are several and none is asked for, or not that many.
    """
    stacks = stacks_of(slices)
    if number is not None and 1 <= number <= len(stacks):
        return stacks[number - 1]
    if len(stacks) == 1 and number is None:
        return stacks[0]
    choice = listed(
        [f"{shown(uid, 64)}#{n} ({_described(stack, path)})" for n, stack in enumerate(stacks, 1)],
        separator="; ",
        longest=400,
    )
    if number is not None:
        raise UnusableInput(f"{shown(path)} holds no stack {number} of that series; choose one of: {choice}.")
    raise UnusableInput(
        f"The slices of one series in {shown(path)} differ in {' and '.join(_differences(stacks))}, so they are not one "
        f"acquisition; choose one with --series, or move the others elsewhere: {choice}."
    )


def _described(stack: Stack, path: Path) -> str:
    """Return a stack's label and size, and the files of one that is too short to be the CT."""
    count = "1 slice" if len(stack.slices) == 1 else f"{len(stack.slices)} slices"
    names = [os.path.relpath(each.path, path) for each in stack.slices]
    files = (
        listed(names, most=3, longest=60)
        if len(names) < MIN_SLICES
        else f"{shown(names[0], 60)} to {shown(names[-1], 60)}"
    )
    return ", ".join(filter(None, (stack.label, count, files)))


def stacks_of(slices: list[CTSlice]) -> list[Stack]:
    """Return the stacks among the slices of one series, the longest first."""
    stacks = []
    for same_plane in _by_plane(slices):
        by_shared: dict[tuple[str, ...], list[CTSlice]] = defaultdict(list)
        for each in same_plane:
            by_shared[tuple(each.header.text(keyword) for keyword in (*SHARED_SECRETS, *SHARED))].append(each)
        for alike in by_shared.values():
            stacks += _by_acquisition(alike)
    if len(stacks) > 1:
        differing = [keyword for keyword in SHARED if keyword in _differences(stacks)]
        stacks = [replace(stack, label=_label(stack, differing)) for stack in stacks]
    return sorted(stacks, key=lambda stack: (-len(stack.slices), str(stack.slices[0].path)))


def _differences(stacks: list[Stack]) -> list[str]:
    """Return what stacks of a series differ in: their geometry, attributes by name, or what divided them."""
    firsts = [stack.slices[0] for stack in stacks]
    found = []
    if not all(_same_size(each, firsts[0]) for each in firsts):
        found.append(SIZE)
    if not all(_same_plane(each, firsts[0]) for each in firsts):
        found.append(PLANE)
    found += [
        keyword for keyword in (*SHARED_SECRETS, *SHARED) if len({each.header.text(keyword) for each in firsts}) > 1
    ]
    return found + sorted({stack.split_by for stack in stacks} - {""})


def _label(stack: Stack, keywords: list[str]) -> str:
    first = stack.slices[0].header
    values = [f"{keyword} {shown(first.text(keyword), LONGEST_VALUE) or 'not stated'}" for keyword in keywords]
    return ", ".join([*values, stack.label] if stack.label else values)


def _by_plane(slices: list[CTSlice]) -> list[list[CTSlice]]:
    """Divide slices by size, orientation and pixel spacing, rounding allowed."""
    groups: list[list[CTSlice]] = []
    for each in slices:
        for group in groups:
            if _same_size(each, group[0]) and _same_plane(each, group[0]):
                group.append(each)
                break
        else:
            groups.append([each])
    return groups


def _same_size(one: CTSlice, other: CTSlice) -> bool:
    return (one.rows, one.columns) == (other.rows, other.columns)


def _same_plane(one: CTSlice, other: CTSlice) -> bool:
    apart = np.subtract((*one.orientation, *one.pixel_spacing_mm), (*other.orientation, *other.pixel_spacing_mm))
    return bool(np.abs(apart).max() <= PARALLEL_TOLERANCE)


def _by_acquisition(slices: list[CTSlice]) -> list[Stack]:
    """Divide slices that share all attributes of a stack where their places start over again.

    First as acquisition number, time or instance number grow (an acquisition number may also grow along the stack, in scans step by
    step), then by the places alone.
    """
    planes = Stack(slices).planes
    heights, rounding_mm = planes.heights_mm, planes.rounding_along(planes.normal)
    for keyword in (ACQUISITION_NUMBER, "AcquisitionDateTime", "AcquisitionTime", INSTANCE_NUMBER):
        blocks = _blocks(slices, keyword)
        if keyword == INSTANCE_NUMBER and not _at_same_places(planes):
            blocks = _dealt(blocks, heights)
        runs = [
            np.concatenate([blocks[i] for i in run]) for run in runs_of_blocks([heights[block] for block in blocks])
        ]
        lie_in_each_other = len(runs) > 1 and not are_apart([heights[run] for run in runs])
        if keyword == ACQUISITION_NUMBER:
            if lie_in_each_other:
                return _parts(slices, runs, keyword)
            if not follow_each_other([heights[block] for block in blocks], rounding_mm):
                return _parts(slices, blocks, keyword)
        elif lie_in_each_other and min(map(len, runs)) >= MIN_SLICES and not _at_same_places(planes):
            return _parts(slices, runs, keyword)
    return _by_places(slices, planes)


def _blocks(slices: list[CTSlice], keyword: str) -> list[Array]:
    """Return the indices of the slices with each value of an attribute, in the order of the values."""
    texts = [each.header.text(keyword) for each in slices]
    try:
        order: dict[str, float] = {text: float(text or "-inf") for text in texts}
        values = sorted(order, key=lambda text: order[text])
    except ValueError:
        values = sorted(set(texts))
    return [np.flatnonzero([text == value for text in texts]) for value in values]


def _dealt(blocks: list[Array], heights: Array) -> list[Array]:
    """Return one block for each pass where passes number their slices alike (1 to 79 and 1 to 79), else ``blocks`` as they are."""
    passes = len(blocks[0])
    if passes == 1 or len(blocks) < MIN_SLICES or any(len(block) != passes for block in blocks):
        return blocks
    in_order = np.array([block[np.argsort(heights[block])] for block in blocks])
    return list(in_order.T)


def _at_same_places(planes: Planes) -> bool:
    """Return whether most slices have another one at their place: copies, or phases, which are told apart by their voxels."""
    places = groups_at_same_place(planes)
    return 2 * sum(len(place) > 1 for place in places) >= len(places)


def _parts(slices: list[CTSlice], parts: Iterable[Array], keyword: str) -> list[Stack]:
    stacks = []
    for part in parts:
        members = [slices[i] for i in part]
        first, last = (
            shown(each.header.text(keyword), LONGEST_VALUE) or "not stated" for each in (members[0], members[-1])
        )
        label = f"{keyword} {first}" if first == last else f"{keyword} {first} to {last}"
        stacks.append(Stack(members, label, keyword))
    return stacks


def _by_places(slices: list[CTSlice], planes: Planes) -> list[Stack]:
    """Divide slices of several passes whose slices lie between each other's."""
    places = groups_at_same_place(planes)
    heights = np.array([planes.heights_mm[place[0]] for place in places])
    rounding_mm = planes.rounding_along(planes.normal)
    if len(heights) < MIN_SLICES or (regular_steps(heights, rounding_mm)[0] % 1 == 0).all():
        return [Stack(slices)]
    passes = interleaved_passes(heights, rounding_mm)
    if len(passes) == 1:
        return [Stack(slices)]
    return [
        Stack(
            [slices[i] for level in levels for i in places[level]],
            f"heights {heights[levels[0]]:.4g} to {heights[levels[-1]]:.4g} mm",
            "the steps between them",
        )
        for levels in passes
    ]


def acquisitions_warning(stack: Stack) -> str:
    """Return a warning where a stack was put together from several long acquisitions that follow each other, else ""."""
    blocks = [block for block in _blocks(stack.slices, ACQUISITION_NUMBER) if len(block) >= MIN_SLICES]
    if len(blocks) < 2:
        return ""
    return (
        f"The slices come from {len(blocks)} acquisitions that follow each other (AcquisitionNumber); look for a step "
        "where they meet, since the patient may have moved or breathed between them."
    )
