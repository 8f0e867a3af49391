"""Group slices into series by their UID, and divide each series into stacks of one acquisition each.

Archives and phase sorting put several acquisitions into one series. Attributes that the slices of a stack share are
compared before positions: patient and how the patient lay, study, frame of reference, kernel, tube voltage, phase, size
and orientation. An acquisition number, a time or an instance number may increase from slice to slice. For these
attributes, slices belong to several acquisitions if the positions start again.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..core.errors import ChoiceMissing, UnusableInput
from ..core.texts import counted, listed, shown
from ..core.volume import Array
from .dicom_phases import PHASE_KEYWORDS
from .dicom_slices import CTSlice
from .dicom_values import DicomHeader
from .plausibility import MIN_SLICES
from .slice_passes import are_apart, follow_each_other, interleaved_passes, overlapping_passes, runs_of_blocks
from .slice_stack import PARALLEL_TOLERANCE, Planes, groups_at_same_place, planes_of, regular_steps

SHARED_SECRETS = ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID")
"""Attributes that a stack shares and that no message quotes, because they identify the patient."""

SHARED = ("SeriesNumber", "SeriesDescription", "ConvolutionKernel", "KVP", "PatientPosition", *PHASE_KEYWORDS)
"""Further attributes that a stack shares."""

ACQUISITION_NUMBER = "AcquisitionNumber"
INSTANCE_NUMBER = "InstanceNumber"

SIZE, PLANE = "their number of rows or columns", "orientation or pixel spacing"

LONGEST_VALUE = 40
"""Largest number of characters of a description or UID in a list."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of one acquisition.

    Attributes:
        slices: The slices.
        label: What distinguishes the stack from the other stacks of its series; "" if the series has only one stack.
        split_by: What divided slices that share all other attributes; "" if nothing did.
    """

    slices: list[CTSlice]
    label: str = ""
    split_by: str = ""

    @property
    def planes(self) -> Planes:
        """Return the positions of the slices, with the orientation and pixel spacing of the first one."""
        first = self.slices[0]
        return planes_of(
            np.array([each.position_lps for each in self.slices]),
            np.array(first.orientation),
            np.array(first.pixel_spacing_mm),
        )


def choose_series(all_series: Mapping[str, list[DicomHeader]], path: Path, series: str | None) -> str:
    """Return the UID of the selected series.

    If none is selected, this is the only series, or the only one with enough slices.

    Args:
        all_series: The slices of each series by its UID.
        path: Where the series were found.
        series: The selected UID.

    Raises:
        ChoiceMissing: If there are several series, and none is selected.
        UnusableInput: If the selected series does not exist, or if each of several series has too few slices.
    """
    if series is not None:
        if series not in all_series:
            raise UnusableInput(
                f"{shown(path)} contains no CT series {shown(series, 64)}; choose one of: {_series_list(all_series)}."
            )
        return series
    if len(all_series) > 1:
        long_enough = {uid: members for uid, members in all_series.items() if len(members) >= MIN_SLICES}
        problem, choice = f"{shown(path)} contains {len(all_series)} CT series", _series_list(all_series)
        if not long_enough:
            raise UnusableInput(f"{problem}, but none has {MIN_SLICES} slices; choose a whole chest CT: {choice}.")
        if len(long_enough) != 1:
            raise ChoiceMissing(
                f"{problem}; choose one with --series: {choice}.",
                "series",
                f"{problem}; give a folder with only one of them: {choice}.",
            )
        all_series = long_enough
    return next(iter(all_series))


def by_series(headers: Iterable[DicomHeader]) -> dict[str, list[DicomHeader]]:
    """Return the slices of each series by its UID."""
    all_series: dict[str, list[DicomHeader]] = defaultdict(list)
    for header in headers:
        all_series[header.text("SeriesInstanceUID")].append(header)
    return all_series


def _series_list(all_series: Mapping[str, list[DicomHeader]]) -> str:
    """Return a list of the series, longest first."""
    by_length = sorted(all_series.items(), key=lambda item: (-len(item[1]), item[0]))
    return listed(
        [
            f"{shown(uid, 64)} ({_description(members[0])}, {counted(len(members), 'slice')})"
            for uid, members in by_length
        ],
        separator="; ",
    )


def _description(header: DicomHeader) -> str:
    return shown(" ".join(header.text("SeriesDescription").split()), LONGEST_VALUE) or "no description"


def choose_stack(slices: list[CTSlice], path: Path, uid: str, number: int | None) -> Stack:
    """Return the stack of a series that was chosen, or the only one.

    Args:
        slices: The slices of the series, in any order.
        path: The file or folder, for error messages.
        uid: The SeriesInstanceUID, for error messages.
        number: The number of the stack, counted from 1; None if none was chosen.

    Raises:
        UnusableInput: If there are several stacks and none is selected, or if the selected one does not exist.
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
        raise UnusableInput(f"{shown(path)} contains no stack {number} of that series; choose one of: {choice}.")
    problem = (
        f"The slices of one series in {shown(path)} differ in {' and '.join(_differences(stacks))}, so they are not "
        "one acquisition"
    )
    raise ChoiceMissing(
        f"{problem}; choose one with --series, or move the other slices to another folder: {choice}.",
        "series",
        f"{problem}; move the slices of the others to another folder: {choice}.",
    )


def _described(stack: Stack, path: Path) -> str:
    """Return the label, the size and the file names of a stack.

    A short stack is described by a few of its names, a longer one by its first and last name.
    """
    names = [os.path.relpath(each.path, path) for each in stack.slices]
    ends = f"{shown(names[0], 60)} to {shown(names[-1], 60)}"
    files = listed(names, most=3, longest=60) if len(names) < MIN_SLICES else ends
    return ", ".join(filter(None, (stack.label, counted(len(stack.slices), "slice"), files)))


def stacks_of(slices: list[CTSlice]) -> list[Stack]:
    """Return the stacks among the slices of one series, longest first."""
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
    """Return what distinguishes the stacks of a series: geometry, names of attributes, or what divided them."""
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
    """Divide slices by size, orientation and pixel spacing, up to rounding."""
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
    """Divide slices that share all attributes of a stack where their positions start again.

    The slices are first ordered by acquisition number, time and instance number. (An acquisition number may also
    increase along the stack, in step-and-shoot scans.) Then only the positions decide.
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
    """Return the indices of the slices for each value of an attribute, sorted by value."""
    texts = [each.header.text(keyword) for each in slices]
    try:
        order: dict[str, float] = {text: float(text or "-inf") for text in texts}
        values = sorted(order, key=lambda text: order[text])
    except ValueError:
        values = sorted(set(texts))
    return [np.flatnonzero([text == value for text in texts]) for value in values]


def _dealt(blocks: list[Array], heights: Array) -> list[Array]:
    """Return one block per pass if several passes number their slices alike, otherwise ``blocks``.

    An example is two passes that both number their slices 1 to 79.
    """
    passes = len(blocks[0])
    if passes == 1 or len(blocks) < MIN_SLICES or any(len(block) != passes for block in blocks):
        return blocks
    in_order = np.array([block[np.argsort(heights[block])] for block in blocks])
    return list(in_order.T)


def _at_same_places(planes: Planes) -> bool:
    """Return whether most slices share their position with another slice.

    These are copies or phases; their voxels tell the two apart.
    """
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
    """Divide slices of several passes whose positions interleave."""
    places = groups_at_same_place(planes)
    heights = np.array([planes.heights_mm[place[0]] for place in places])
    rounding_mm = planes.rounding_along(planes.normal)
    if len(heights) < MIN_SLICES:
        return [Stack(slices)]
    passes = overlapping_passes(heights, rounding_mm)
    if len(passes) == 1 and not (regular_steps(heights, rounding_mm)[0] % 1 == 0).all():
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


def numbering_warning(stack: Stack) -> str:
    """Return a warning if the slices are numbered in steps of two or more, otherwise "".

    If every second slice of a series is missing, the positions are still regular, and only the numbers show the gaps.
    """
    try:
        numbers = np.array([float(each.header.text(INSTANCE_NUMBER)) for each in stack.slices])
    except ValueError:
        return ""
    steps = np.diff(numbers[np.argsort(stack.planes.heights_mm)])
    step = abs(float(steps[0])) if len(steps) else 0.0
    if not np.isfinite(numbers).all() or step < 2 or (steps != steps[0]).any():
        return ""
    return (
        f"The slices are numbered in steps of {step:.6g} (InstanceNumber), so slices between them may be missing; "
        "compare the number of files with the original series."
    )


def acquisitions_warning(stack: Stack) -> str:
    """Return a warning if a stack consists of several long acquisitions that follow each other, otherwise ""."""
    blocks = [block for block in _blocks(stack.slices, ACQUISITION_NUMBER) if len(block) >= MIN_SLICES]
    if len(blocks) < 2:
        return ""
    return (
        f"The slices come from {len(blocks)} consecutive acquisitions (AcquisitionNumber). Look for a step where they "
        "meet: the patient may have moved or breathed between them."
    )
