"""Slicer's segmentation files (.seg.nrrd), written and read with SimpleITK alone.

The header keys are those of Slicer's vtkMRMLSegmentationStorageNode. Segments that overlap lie in layers, which are the components
of a vector image (NRRD kind "list"); segments that do not share one layer, told apart by label values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core.errors import UnusableInput
from ..core.terminology import REVIEW_TAG, UNSPECIFIED
from ..core.volume import Array, Grid, Volume
from .images import from_simpleitk, read_image_file, set_simpleitk_geometry, write_image

UNSPECIFIED_COLORS = (
    (0.50, 0.68, 0.50),
    (0.95, 0.84, 0.57),
    (0.69, 0.48, 0.40),
    (0.44, 0.72, 0.82),
    (0.85, 0.40, 0.31),
)
"""Colors in turn for the labels of a plain label map, which names none."""

MAX_LABELS = 256
"""More than any atlas of the whole body has; an image with more values is a CT or a map, not a label map."""


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment: ``mask`` (bool), ``color`` red, green, blue of 0 to 1, ``terminology`` Slicer's serialized entry.

    ``id`` is unique within a segmentation; by default it follows from the name. ``review``: "confirmed" or "rejected" where a person
    has said so.
    """

    name: str
    mask: Volume
    color: tuple[float, float, float]
    terminology: str
    id: str = ""
    review: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.id or re.sub(r"\W+", "_", self.name))


def write_segmentation(segments: Sequence[Segment], path: str | os.PathLike[str], *, grid: Grid | None = None) -> None:
    """Write a .seg.nrrd that Slicer opens with names, colors, terminology and geometry; it appears only when complete.

    ``grid`` is the file's; by default that of the first mask. A mask lies on it or on a crop of it.

    Raises ValueError for no segments without a grid, equal ids, another suffix or a mask off the grid; MachineLimit if the file
    cannot be written.
    """
    path = Path(path)
    if not path.name.endswith(".seg.nrrd"):
        raise ValueError(f"{path.name} must end in .seg.nrrd.")
    if len({segment.id for segment in segments}) < len(segments):
        raise ValueError("Segments must have different ids.")
    if grid is None:
        if not segments:
            raise ValueError("Without segments the grid must be given.")
        grid = segments[0].mask.grid
    layers, places = _into_layers(segments, grid)
    image = sitk.GetImageFromArray(
        layers[0] if len(layers) == 1 else np.stack(layers, axis=-1), isVector=len(layers) > 1
    )
    set_simpleitk_geometry(image, grid)
    for key, value in _header(segments, places, grid).items():
        image.SetMetaData(key, value)
    write_image(image, path)


def read_segmentation(path: str | os.PathLike[str]) -> list[Segment]:
    """The segments of a .seg.nrrd, or of a plain label map: there each label n > 0 becomes "Segment n".

    Masks lie on the file's grid. Slicer may have cropped it or let it grow where a user painted, so it can differ from the CT's.

    Raises UnusableInput if the file is missing, damaged or not 3D, or holds anything but labels.
    """
    path = Path(path)
    if not path.exists():
        raise UnusableInput(f"{path} does not exist; check the path.")
    image = read_image_file(path, allow_layers=True)
    array, affine = from_simpleitk(image)
    if image.HasMetaDataKey("Segment0_ID"):
        try:
            return _stated_segments(image, array, affine)
        except (IndexError, ValueError) as error:
            raise UnusableInput(
                f"The header of {path} describes its segments wrongly; save the segmentation in Slicer again."
            ) from error
    if array.ndim > 3:
        raise UnusableInput(
            f"{path} holds several values a voxel but names no segments; give a segmentation or a label map."
        )
    return [
        Segment(
            f"Segment {label}",
            Volume(array == label, affine),
            UNSPECIFIED_COLORS[i % len(UNSPECIFIED_COLORS)],
            UNSPECIFIED,
        )
        for i, label in enumerate(_labels(array, path))
    ]


def _labels(array: Array, path: Path) -> list[int]:
    """The labels of a label map, ascending. Raises UnusableInput if values are not whole, below zero or too many to be labels."""
    labels = sorted({float(label) for plane in array for label in np.unique(plane[plane != 0])})
    if any(label < 0 or not label.is_integer() for label in labels) or len(labels) > MAX_LABELS:
        raise UnusableInput(
            f"The values of {path} are not labels (whole, positive, at most {MAX_LABELS} of them); give a label map."
        )
    return [int(label) for label in labels]


@dataclass(frozen=True)
class _Place:
    """Where a segment lies: its layer, its label value there and its first and last index along (slice, row, column)."""

    layer: int
    label: int
    first: tuple[int, int, int]
    last: tuple[int, int, int]


def _into_layers(segments: Sequence[Segment], grid: Grid) -> tuple[list[Array], list[_Place]]:
    """Label each segment in the first layer where it covers no other one."""
    dtype = np.uint8 if len(segments) <= np.iinfo(np.uint8).max else np.uint16
    layers = [np.zeros(grid.shape, dtype)]
    counts = [0]
    places = []
    for segment in segments:
        mask, first = _bounding_box(segment, grid)
        box = tuple(slice(a, a + n) for a, n in zip(first, mask.shape, strict=True))
        layer = next((i for i, labels in enumerate(layers) if not labels[box][mask].any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(grid.shape, dtype))
            counts.append(0)
        counts[layer] += 1
        layers[layer][box][mask] = counts[layer]
        last = tuple(a + n - 1 for a, n in zip(first, mask.shape, strict=True))
        places.append(_Place(layer, counts[layer], first, (last[0], last[1], last[2])))
    return layers, places


def _bounding_box(segment: Segment, grid: Grid) -> tuple[Array, tuple[int, int, int]]:
    """The smallest part of the mask that holds all of it (empty where nothing is set), and where on ``grid`` it begins."""
    mask = segment.mask.array
    start = np.rint(grid.lps_to_index(segment.mask.origin)).astype(int)
    stop = start + mask.shape
    crop = Grid(segment.mask.shape, _moved(grid, start))
    if (start < 0).any() or (stop > grid.shape).any() or not crop.same_grid(segment.mask):
        raise ValueError(f"The mask of {segment.name} does not lie on the segmentation's grid.")
    box = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(used[0], used[-1] + 1) if used.size else slice(0, 0))
    first = start + [part.start for part in box]
    return mask[tuple(box)].astype(bool, copy=False), (int(first[0]), int(first[1]), int(first[2]))


def _moved(grid: Grid, start: Array) -> Array:
    affine: Array = grid.affine.copy()
    affine[:3, 3] = grid.index_to_lps(start)
    return affine


def _header(segments: Sequence[Segment], places: Sequence[_Place], grid: Grid) -> dict[str, str]:
    """Slicer's keys; extents run over (column, row, slice), and one whose end lies before its start is empty."""
    header = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
        "Segmentation_ConversionParameters": f"Reference image geometry|{_slicer_geometry(grid)}|&",
    }
    for number, (segment, place) in enumerate(zip(segments, places, strict=True)):
        extent = [f"{a} {b}" for a, b in zip(place.first[::-1], place.last[::-1], strict=True)]
        values = {
            "ID": segment.id,
            "Name": segment.name,
            "NameAutoGenerated": "0",
            "Color": " ".join(f"{part:.6g}" for part in segment.color),
            "ColorAutoGenerated": "0",
            "Layer": str(place.layer),
            "LabelValue": str(place.label),
            "Extent": " ".join(extent),
            "Tags": f"Segmentation.Status:notstarted|TerminologyEntry:{segment.terminology}|"
            + (f"{REVIEW_TAG}:{segment.review}|" if segment.review else ""),
        }
        header |= {f"Segment{number}_{key}": value for key, value in values.items()}
    return header


def _slicer_geometry(grid: Grid) -> str:
    """The grid as Slicer serializes it: the 4 x 4 matrix from (column, row, slice) to RAS mm by rows, then the extent."""
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine[:, [2, 1, 0, 3]]
    extent = [bound for n in grid.shape[::-1] for bound in (0, n - 1)]
    return "".join(f"{value:.17g};" for value in to_ras.ravel()) + "".join(f"{bound};" for bound in extent)


def _stated_segments(image: sitk.Image, array: Array, affine: Array) -> list[Segment]:
    layers = array[..., np.newaxis] if array.ndim == 3 else array
    segments = []
    number = 0
    while image.HasMetaDataKey(f"Segment{number}_ID"):
        stated = {key: image.GetMetaData(f"Segment{number}_{key}") for key in _keys_of(image, number)}
        mask = layers[..., int(stated.get("Layer", 0))] == int(stated.get("LabelValue", 1))
        red, green, blue = map(float, stated.get("Color", "0.5 0.5 0.5").split())
        tags = dict(tag.split(":", 1) for tag in stated.get("Tags", "").split("|") if ":" in tag)
        terminology = tags.get("TerminologyEntry", UNSPECIFIED)
        name, review = stated.get("Name", stated["ID"]), tags.get(REVIEW_TAG, "")
        segments.append(Segment(name, Volume(mask, affine), (red, green, blue), terminology, stated["ID"], review))
        number += 1
    return segments


def _keys_of(image: sitk.Image, number: int) -> list[str]:
    prefix = f"Segment{number}_"
    return [key.removeprefix(prefix) for key in image.GetMetaDataKeys() if key.startswith(prefix)]
