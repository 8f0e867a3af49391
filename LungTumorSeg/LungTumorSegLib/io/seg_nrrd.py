"""Read and write Slicer's segmentation files (.seg.nrrd).

The header keys are those of Slicer's vtkMRMLSegmentationStorageNode. Segments that overlap lie in different layers,
which are the components of a vector image (NRRD kind "list"). Segments that do not overlap share one layer with
different label values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..core import lazy
from ..core.boxes import Box, boxes_of_labels, shift_index, slices_of, unite_boxes
from ..core.complete_files import complete_file
from ..core.crops import SparseMask, crop_at, place
from ..core.errors import UnusableInput
from ..core.terminology import REVIEW_TAG, UNSPECIFIED
from ..core.texts import listed, shown
from ..core.volume import Array, Grid
from .file_suffixes import SEGMENTATION_SUFFIX, has_suffix
from .images import StoredImage
from .nrrd import compressed_layers
from .regular_files import check_encodable
from .segment import Segment

BINARY = "Binary labelmap"
REPRESENTATION_KEYS = ("Segmentation_MasterRepresentation", "Segmentation_SourceRepresentation")
"""Keys under which older and newer versions of Slicer state what the voxels mean."""

__getattr__, _ = lazy.exports(__name__, {"read_segmentation": ".segmentations"})  # its place in earlier versions

SEGMENT_KEY = re.compile(r"Segment(\d+)_ID$")


def write_segmentation(segments: Sequence[Segment], path: str | os.PathLike[str], *, grid: Grid | None = None) -> None:
    """Write a .seg.nrrd that Slicer opens with names, colors, terminology and geometry.

    The file appears under its name only when complete.

    Args:
        segments: The segments; each mask lies on the grid of the file or on a crop of it.
        path: A path that ends in .seg.nrrd.
        grid: The grid of the file; by default that of the first mask.

    Raises:
        ValueError: If there are neither segments nor a grid, ids are equal, or the path has another suffix.
        UnusableInput: If a mask does not lie on the grid; this is a ValueError too.
        MachineLimit: If the file cannot be written.
    """
    path = Path(path)
    if not has_suffix(path.name, [SEGMENTATION_SUFFIX]):
        raise ValueError(f"{path.name} must end in .seg.nrrd.")
    if len({segment.id for segment in segments}) < len(segments):
        raise ValueError("Segments must have different ids.")
    if grid is None:
        if not segments:
            raise ValueError("Without segments the grid must be given.")
        grid = segments[0].mask.grid
    check_encodable(path)
    layers, places = _into_layers(segments, grid)
    with complete_file(path) as unfinished, unfinished.open("wb") as file:
        file.writelines(compressed_layers(layers, grid, _header(segments, places, grid)))


def header_names_segments(metadata: Mapping[str, str]) -> bool:
    """Return whether the header of an image names segments, as that of a .seg.nrrd does."""
    return any(SEGMENT_KEY.match(key) for key in metadata)


def named_segments(image: StoredImage, path: Path) -> list[Segment]:
    """Return the segments that the header of an image names; their masks lie on the grid of the image.

    Args:
        image: The content of the file, layers included.
        path: The file, for messages.

    Raises:
        UnusableInput: If the header contradicts itself or the voxels, or the voxels are shares of segments.
    """
    _check_representation(image.metadata, path)
    try:
        numbers = {int(found[1]) for key in image.metadata if (found := SEGMENT_KEY.match(key))}
        if numbers != set(range(len(numbers))):
            raise KeyError("numbers of segments are missing")
        return _stated_segments(image)
    except (IndexError, KeyError, ValueError) as error:
        raise UnusableInput(
            f"The header of {path} does not describe its segments correctly; save the segmentation in Slicer again."
        ) from error


def _check_representation(metadata: Mapping[str, str], path: Path) -> None:
    """Raise UnusableInput if the voxels are shares of a segment (Slicer's fractional label maps), not labels."""
    for key in REPRESENTATION_KEYS:
        stated = metadata.get(key, BINARY)
        if stated != BINARY:
            raise UnusableInput(
                f"{shown(path)} stores its segments as {shown(stated, 40)}, which is not read; convert them to "
                f"{BINARY.lower()} in Slicer's Segmentations module and save the segmentation again."
            )


@dataclass(frozen=True)
class _Place:
    """Where a segment is stored: its layer, its label value in that layer, and its box."""

    layer: int
    label: int
    box: Box


def _into_layers(segments: Sequence[Segment], grid: Grid) -> tuple[list[Array], list[_Place]]:
    """Label each segment in the first layer in which it overlaps no other segment."""
    dtype = np.uint8 if len(segments) <= np.iinfo(np.uint8).max else np.uint16
    layers = [np.zeros(grid.shape, dtype)]
    counts = [0]
    places = []
    for segment in segments:
        crop = place(segment.mask, grid, f"The mask of {segment.name}", "the segmentation's grid")
        layer = 0
        if crop is not None:
            taken = (labels[crop.slices][crop.mask.array].any() for labels in layers)
            layer = next((i for i, is_taken in enumerate(taken) if not is_taken), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(grid.shape, dtype))
            counts.append(0)
        counts[layer] += 1
        if crop is None:
            places.append(_Place(layer, counts[layer], ((0, 0, 0), (0, 0, 0))))
        else:
            layers[layer][crop.slices][crop.mask.array] = counts[layer]
            places.append(_Place(layer, counts[layer], crop.box))
    return layers, places


def _header(segments: Sequence[Segment], places: Sequence[_Place], grid: Grid) -> dict[str, str]:
    """Return Slicer's header keys.

    Extents are in the order (column, row, slice); an extent whose end precedes its start is empty.
    """
    header = {
        "Segmentation_MasterRepresentation": BINARY,
        "Segmentation_ContainedRepresentationNames": f"{BINARY}|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
        "Segmentation_ConversionParameters": f"Reference image geometry|{_slicer_geometry(grid)}|&",
    }
    for number, (segment, spot) in enumerate(zip(segments, places, strict=True)):
        extent = [f"{a} {b - 1}" for a, b in zip(spot.box[0][::-1], spot.box[1][::-1], strict=True)]
        values = {
            "ID": segment.id,
            "Name": segment.name,
            "NameAutoGenerated": "0",
            "Color": " ".join(f"{part:.6g}" for part in segment.color),
            "ColorAutoGenerated": "0",
            "Layer": str(spot.layer),
            "LabelValue": str(spot.label),
            "Extent": " ".join(extent),
            "Tags": f"Segmentation.Status:notstarted|TerminologyEntry:{segment.terminology}|"
            + (f"{REVIEW_TAG}:{segment.review}|" if segment.review else ""),
        }
        header |= {f"Segment{number}_{key}": value for key, value in values.items()}
    return header


def _slicer_geometry(grid: Grid) -> str:
    """Return the grid as Slicer serializes it.

    The text holds the 4 x 4 matrix from (column, row, slice) to RAS mm, row by row, and then the extent.
    """
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine[:, [2, 1, 0, 3]]
    extent = [bound for n in grid.shape[::-1] for bound in (0, n - 1)]
    return "".join(f"{value:.17g};" for value in to_ras.ravel()) + "".join(f"{bound};" for bound in extent)


def _stated_segments(image: StoredImage) -> list[Segment]:
    """Return the segments that the header names, interpreted as in Slicer's vtkMRMLSegmentationStorageNode.

    Files of Slicer 4.10 and earlier state neither layer nor label value: segment n is the voxels with value 1 in
    component n. Voxels outside the combined extents of the segments of a layer do not count.
    """
    layers = image.array[..., np.newaxis] if image.array.ndim == 3 else image.array
    grid = Grid((layers.shape[0], layers.shape[1], layers.shape[2]), image.affine)
    stated: list[dict[str, str]] = []
    while f"Segment{len(stated)}_ID" in image.metadata:
        stated.append(_keys_of(image.metadata, len(stated)))
    in_layers = [int(keys.get("Layer", number)) for number, keys in enumerate(stated)]
    if min(in_layers) < 0 or max(in_layers) >= layers.shape[-1]:
        raise IndexError("a segment refers to a layer that does not exist")
    boxes, outside = [], False
    for layer in range(layers.shape[-1]):
        extents = [keys.get("Extent") for keys, own in zip(stated, in_layers, strict=True) if own == layer]
        found, whole = _boxes_within(layers[..., layer], extents)
        boxes.append(found)
        outside |= not whole
    segments = [
        _stated_segment(keys, layers[..., layer], boxes[layer], grid)
        for keys, layer in zip(stated, in_layers, strict=True)
    ]
    claimed = {(layer, int(keys.get("LabelValue", 1))) for keys, layer in zip(stated, in_layers, strict=True)}
    others = {label for layer, found in enumerate(boxes) for label in found if (layer, label) not in claimed}
    lost = f" (label {listed([f'{each:g}' for each in sorted(others)])})" if others else ""
    if not others and not outside:
        return segments
    warning = (
        f"The segmentation has voxels of no segment{lost}, which were not read; open it in Slicer and check that no "
        "segment is missing."
    )
    return [replace(segment, warnings=(warning,)) for segment in segments]


def _boxes_within(labels: Array, extents: Sequence[str | None]) -> tuple[dict[float, Box], bool]:
    """Find the bounding box of each label inside the combined ``extents``.

    Args:
        labels: One layer (slice, row, column).
        extents: First and last index along column, row and slice, as text, for each segment; None means the whole
            layer.

    Returns:
        The boxes, and whether all voxels of a label lie inside the extents.
    """
    if None in extents:
        return boxes_of_labels(labels), True
    covered: Box | None = None
    for extent in extents:
        j0, j1, i0, i1, k0, k1 = map(int, (extent or "").split())
        if j0 <= j1 and i0 <= i1 and k0 <= k1:
            box: Box = (max(k0, 0), max(i0, 0), max(j0, 0)), (k1 + 1, i1 + 1, j1 + 1)
            covered = box if covered is None else unite_boxes(covered, box)
    if covered is None:
        return {}, not labels.any()
    start, part = covered[0], labels[slices_of(covered)]
    boxes = {
        label: (shift_index(first, start), shift_index(stop, start))
        for label, (first, stop) in boxes_of_labels(part).items()
    }
    return boxes, np.count_nonzero(part) == np.count_nonzero(labels)


def _stated_segment(stated: dict[str, str], labels: Array, boxes: dict[float, Box], grid: Grid) -> Segment:
    label = int(stated.get("LabelValue", 1))
    box = boxes.get(label)
    crop = None if box is None else crop_at(labels[slices_of(box)] == label, box, grid)
    red, green, blue = map(float, stated.get("Color", "0.5 0.5 0.5").split())
    tags = dict(tag.split(":", 1) for tag in stated.get("Tags", "").split("|") if ":" in tag)
    return Segment(
        stated["Name"] if stated.get("Name", "").strip() else stated["ID"],
        SparseMask(crop, grid),
        (red, green, blue),
        tags.get("TerminologyEntry", UNSPECIFIED),
        stated["ID"],
        tags.get(REVIEW_TAG, ""),
    )


def _keys_of(metadata: Mapping[str, str], number: int) -> dict[str, str]:
    prefix = f"Segment{number}_"
    return {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}
