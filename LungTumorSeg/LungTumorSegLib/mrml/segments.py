"""The segments of a segmentation node: their voxels, properties and review marks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..core.boxes import box_of_label, mask_on_grid, unite_masks
from ..core.terminology import CONFIDENCE_TAG, REVIEW_TAG
from ..core.volume import Array, Mask, Volume
from ..correction.snapshot import Layer, SegmentInfo
from .nodes import Node, affine_of

LATTICE_TOLERANCE_VOXELS = 0.02
"""Largest distance at which voxels of two images coincide; a larger one is not rounding."""


class LayerCopies:
    """Copies of the layers of a segmentation for another thread; only layers that changed are copied again."""

    def __init__(self) -> None:
        self._copies: list[tuple[Node, int, Volume]] = []

    def of(self, content: Node) -> list[Layer]:
        """Return copies of the layers of a vtkSegmentation, in its order."""
        layers, copies = [], []
        for index in range(content.GetNumberOfLayers()):
            image = content.GetLayerDataObject(index, content.GetSourceRepresentationName())
            known = self._copies[index] if index < len(self._copies) else None
            if known is None or known[0] is not image or known[1] != image.GetMTime():
                known = (image, image.GetMTime(), _copied(image))
            copies.append(known)
            layers.append(Layer(known[2], _values(content, index)))
        self._copies = copies
        return layers


def unchanging_layers(content: Node) -> list[Layer]:
    """Return the layers of a vtkSegmentation that is never edited, as views that keep its voxels alive."""
    images = [
        content.GetLayerDataObject(index, content.GetSourceRepresentationName())
        for index in range(content.GetNumberOfLayers())
    ]
    return [Layer(_volume(image), _values(content, index)) for index, image in enumerate(images)]


def _values(content: Node, layer: int) -> dict[str, int]:
    ids = content.GetSegmentIDsForLayer(layer, content.GetSourceRepresentationName())
    return {segment_id: content.GetSegment(segment_id).GetLabelValue() for segment_id in ids}


def segment_infos(content: Node) -> list[SegmentInfo]:
    """Return the properties of each segment of a vtkSegmentation apart from its voxels, in its order."""
    return [
        SegmentInfo(
            segment_id,
            segment.GetName() or "",
            segment.GetTerminology() or "",
            review_of(segment),
            confidence_of(segment),
        )
        for segment_id, segment in segments_of(content)
    ]


def segments_of(content: Node) -> Iterator[tuple[str, Node]]:
    """Yield id and vtkSegment of each segment, in order."""
    for segment_id in content.GetSegmentIDs():
        yield segment_id, content.GetSegment(segment_id)


def review_of(segment: Node) -> str:
    """Return the review mark of a lesion: "confirmed", "rejected", or "" if it was not reviewed."""
    return _tag_of(segment, REVIEW_TAG)


def set_review(segment: Node, review: str) -> None:
    """Set the review mark of a lesion; "" removes it."""
    _set_tag(segment, REVIEW_TAG, review)


def confidence_of(segment: Node) -> float | None:
    """Return the probability of a tumor of a lesion that was outlined at a place; None for other segments."""
    try:
        stated = float(_tag_of(segment, CONFIDENCE_TAG))
    except ValueError:  # no tag, or a damaged one
        return None
    return stated if 0 <= stated <= 1 else None


def set_confidence(segment: Node, confidence: float | None) -> None:
    """Set the probability of a tumor of a lesion that was outlined at a place; None removes it."""
    _set_tag(segment, CONFIDENCE_TAG, "" if confidence is None else f"{confidence:.6g}")


def _tag_of(segment: Node, name: str) -> str:
    tag = vtk.reference("")
    return str(tag) if segment.GetTag(name, tag) else ""


def _set_tag(segment: Node, name: str, value: str) -> None:
    if value:
        segment.SetTag(name, value)
    else:
        segment.RemoveTag(name)


def mask_of(content: Node, segment_id: str) -> Volume | None:
    """Return the voxels of a segment.

    Returns:
        A bool volume cropped to the segment, LPS with canonical axes; None if the segment is empty.
    """
    segment = content.GetSegment(segment_id)
    image = segment.GetRepresentation(content.GetSourceRepresentationName())
    if image is None or image.IsEmpty():
        return None
    labels = _volume(image)
    box = box_of_label(labels.array, segment.GetLabelValue())
    if box is None:
        return None
    crop = labels.crop(*box)
    return crop.canonical_axes().apply(crop.with_array(crop.array == segment.GetLabelValue()))


def same_mask(a: Volume | None, b: Volume | None) -> bool:
    """Return whether two masks have the same voxels on the same grid; None is empty."""
    if a is None or b is None:
        return a is b
    return a.same_grid(b) and np.array_equal(a.array, b.array)


def mask_on(mask: Volume | None, on: Volume) -> Mask:
    """Return a mask (bool) on the grid of another volume of the same lattice; None is empty."""
    return np.zeros(on.shape, dtype=bool) if mask is None else mask_on_grid(mask, on)


def set_mask(segmentation: Node, segment_id: str, mask: Volume | None) -> None:
    """Replace the voxels of a segment; other segments keep theirs.

    Args:
        segmentation: The segmentation node.
        segment_id: The segment.
        mask: bool, LPS, on the lattice of the segmentation, with any order of axes. None empties the segment.

    Raises:
        ValueError: Slicer cannot change the segment, or the segmentation has neither voxels nor a CT.
    """
    if mask is None or not mask.array.any():
        segmentation.GetSegmentation().ClearSegment(segment_id)
        return
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    image = _image(mask, _lattice(segmentation))
    if not logic.SetBinaryLabelmapToSegment(image, segmentation, segment_id, logic.MODE_REPLACE, image.GetExtent()):
        raise ValueError(f"The segment {segment_id} could not be changed.")


def add_mask(segmentation: Node, segment_id: str, mask: Volume | None) -> None:
    """Add voxels to a segment; ``mask`` has canonical axes."""
    present = mask_of(segmentation.GetSegmentation(), segment_id)
    if mask is not None:
        set_mask(segmentation, segment_id, mask if present is None else unite_masks(present, mask))


def on_lattice(segmentation: Node, mask: Volume) -> bool:
    """Return whether the voxels of a mask, LPS with any order of axes, coincide with voxels of the segmentation."""
    lattice = _lattice(segmentation)
    grid = Volume(np.zeros((1, 1, 1), dtype=bool), affine_of(_to_ras(lattice)))
    steps = np.linalg.inv(grid.affine) @ mask.affine
    return bool(np.allclose(steps, np.rint(steps), atol=LATTICE_TOLERANCE_VOXELS)) and bool(
        np.isclose(abs(np.linalg.det(steps[:3, :3])), 1, atol=LATTICE_TOLERANCE_VOXELS)
    )


def image_on(reference: Node, segmentation: Node, mask: Volume, ct: Node) -> Node:
    """Return a mask as an image for an effect of the Segment Editor.

    Args:
        reference: A vtkOrientedImageData with the grid of the result, in the coordinates of the segmentation.
        segmentation: The segmentation node.
        mask: bool, LPS, in the coordinates of the CT, on any grid.
        ct: The volume node of the CT; its parent transform may differ from that of the segmentation.

    Returns:
        A vtkOrientedImageData of 0 and 1; each voxel has the value of the nearest voxel of the mask.
    """
    to_segmentation, to_ras = vtk.vtkGeneralTransform(), vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        ct.GetParentTransformNode(), segmentation.GetParentTransformNode(), to_segmentation
    )
    ct.GetIJKToRASMatrix(to_ras)
    lattice, image = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    lattice.SetImageToWorldMatrix(to_ras)
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        _image(mask, lattice), reference, image, False, False, to_segmentation
    )
    return image


def next_lesion_number(contents: Sequence[Node]) -> int:
    """Return one more than the largest n of the segments named "Tumor n"."""
    names = [segment.GetName() or "" for content in contents for _, segment in segments_of(content)]
    numbers = [int(match[1]) for name in names if (match := re.fullmatch(r"Tumor (\d+)", name))]
    return max(numbers, default=0) + 1


def _volume(image: Node) -> Volume:
    """Return a view of a vtkOrientedImageData as a volume in LPS. An image without voxels becomes a single 0."""
    j0, _, i0, _, k0, _ = image.GetExtent()
    scalars = image.GetPointData().GetScalars() if image.GetPointData() is not None else None
    shape = image.GetDimensions()[::-1]
    if scalars is None or min(shape) < 1:
        array: Array = np.zeros((1, 1, 1), np.uint8)
    else:
        array = vtk_to_numpy(scalars).reshape(shape)
    affine = affine_of(_to_ras(image))
    affine[:3, 3] = affine[:3, :3] @ (k0, i0, j0) + affine[:3, 3]
    return Volume(array, affine)


def _copied(image: Node) -> Volume:
    volume = _volume(image)
    return volume.with_array(volume.array.copy())


def _image(mask: Volume, lattice: Node) -> Node:
    """Return ``mask`` as a vtkOrientedImageData of 0 and 1 on the lattice of another image."""
    image = slicer.vtkOrientedImageData()
    image.SetOrigin(lattice.GetOrigin())  # copied one by one: setting the matrix would round
    image.SetSpacing(lattice.GetSpacing())
    image.CopyDirections(lattice)
    grid = Volume(np.zeros((1, 1, 1), dtype=bool), affine_of(_to_ras(image)))
    mask = grid.canonical_axes().undo(mask.canonical_axes().apply(mask))
    k, i, j = np.rint(grid.lps_to_index(mask.origin)).astype(int).tolist()
    slices, rows, columns = mask.shape
    image.SetExtent(j, j + columns - 1, i, i + rows - 1, k, k + slices - 1)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = mask.array.ravel()
    return image


def _lattice(segmentation: Node) -> Node:
    """Return a vtkOrientedImageData on the voxel lattice of the segmentation: a layer or, without layers, its CT."""
    content = segmentation.GetSegmentation()
    for index in range(content.GetNumberOfLayers()):
        image = content.GetLayerDataObject(index, content.GetSourceRepresentationName())
        if not image.IsEmpty():
            return image
    volume = segmentation.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())
    if volume is None:
        raise ValueError("The CT of this segmentation is not in the scene.")
    matrix, image = vtk.vtkMatrix4x4(), slicer.vtkOrientedImageData()
    volume.GetIJKToRASMatrix(matrix)
    image.SetImageToWorldMatrix(matrix)
    return image


def _to_ras(image: Node) -> Node:
    """Return the vtkMatrix4x4 from column, row and slice to RAS in mm."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return matrix
