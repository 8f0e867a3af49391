"""A small chest CT and the files that a run would write for it, so that the self-test does not need the network."""

from pathlib import Path

import numpy as np
import vtk
from LungTumorSegLib.core import terminology
from LungTumorSegLib.core.colors import LUNG_COLOR, lesion_color
from LungTumorSegLib.core.json_files import write_json
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.results.reader import RunFiles
from vtk.util.numpy_support import numpy_to_vtk

SHAPE, SPACING_MM = (24, 32, 40), (5.0, 5.0, 5.0)
"""Number of slices, rows and columns; spacing in the same order."""

BOXES = {
    "Left lung": np.s_[3:21, 6:26, 23:37],
    "Right lung": np.s_[3:21, 6:26, 3:17],
    "Tumor 1": np.s_[8:13, 12:17, 26:31],
    "Tumor 2": np.s_[14:16, 10:12, 6:9],
}
CODES = (terminology.LEFT_LUNG, terminology.RIGHT_LUNG, terminology.TUMOR["Left"], terminology.TUMOR["Right"])


def cannedCT(scene: Node) -> Node:
    """Return a new volume node: two lungs of -850 HU with two lesions of 30 HU, in soft tissue of 40 HU."""
    hu = np.full(SHAPE, 40, np.int16)
    for name, box in BOXES.items():
        hu[box] = -850 if name.endswith("lung") else 30
    image = vtk.vtkImageData()
    image.SetDimensions(*SHAPE[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(hu.ravel(), deep=True))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "self-test CT")
    node.SetSpacing(*SPACING_MM[::-1])
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    node.SetAndObserveImageData(image)
    return node


def cannedResult(ct: Volume, folder: Path) -> RunFiles:
    """Write the result of a run on ``cannedCT`` into ``folder`` and return its files."""
    masks = {name: np.zeros(ct.shape, bool) for name in BOXES}
    for name, box in BOXES.items():
        masks[name][box] = True
    for lung, tumor in (("Left lung", "Tumor 1"), ("Right lung", "Tumor 2")):
        masks[lung] &= ~masks[tumor]
    colors = (LUNG_COLOR, LUNG_COLOR, lesion_color(1), lesion_color(2))
    segments = [
        Segment(name, ct.with_array(masks[name]), color, code, name.replace(" ", "_"))
        for name, color, code in zip(BOXES, colors, CODES, strict=True)
    ]
    write_segmentation(segments, folder / "segmentation.seg.nrrd")
    lesions = [_row(ct, masks[f"Tumor {number}"], number, side) for number, side in ((1, "Left"), (2, "Right"))]
    summary = {"schema_version": 1, "model": "canned", "warnings": [], "message": "", "spread": {}, "lesions": lesions}
    write_json(folder / "summary.json", summary)
    return RunFiles(folder, summary)


def _row(ct: Volume, mask: np.ndarray, number: int, side: str) -> dict[str, object]:
    x, y, z = ct.index_to_lps(np.argwhere(mask).mean(axis=0))
    return {
        "number": number, "segment": f"Tumor {number}", "side": side,
        "volume_ml": float(mask.sum() * ct.voxel_volume_ml),
        "long_axis_mm": 25.0 / number, "short_axis_mm": 20.0 / number, "mean_hu": 30.0,
        "centroid_x_lps_mm": x, "centroid_y_lps_mm": y, "centroid_z_lps_mm": z, "confidence": 0.9,
    }  # fmt: skip
