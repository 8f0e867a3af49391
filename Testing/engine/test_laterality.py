"""Left is left: whatever the axes of the file, a lesion in the patient's left lung is called Left, in the table and
in the codes."""

import pytest
from dicom_series import write_dicom_series
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.isolation import isolate_lungs
from LungTumorSegLib.lesions import report_lesions
from LungTumorSegLib.phantom import LesionSpec, PhantomOptions, make_phantom
from LungTumorSegLib.results.result_segments import lung_and_tumor_segments
from volumes import SIX_ORIENTATIONS


@pytest.fixture(scope="module")
def a_coarse_phantom():
    """Lesion 1 in the left lung, lesion 2, smaller, in the right; voxels of 5 mm keep the isolations quick."""
    lesions = (LesionSpec("solid", 40.0, "lung", "left"), LesionSpec("solid", 26.0, "lung", "right"))
    return make_phantom(
        7102, PhantomOptions(spacing_mm=(6.0, 5.5, 5.0), lesions=lesions, distractors=(), body_grid_mm=8.0)
    )


def sides_in_table_and_codes(ct, tumor, path):
    """(side in the table, side in the terminology) of each lesion, largest first, and where the lungs lie (mean LPS
    x)."""
    isolation = isolate_lungs(ct)
    report = report_lesions(tumor, ct, isolation.left_lung, isolation.right_lung, min_lesion_ml=0.5)
    write_segmentation(lung_and_tumor_segments(isolation, report), path)
    segments = {segment.name: segment for segment in read_segmentation(path)}
    codes = ["Left" if "^Left" in segments[lesion.segment].terminology else "Right" for lesion in report.lesions]
    return [(lesion.side, code) for lesion, code in zip(report.lesions, codes, strict=True)]


@pytest.mark.parametrize("order", SIX_ORIENTATIONS, ids=str)
def test_every_axis_order_keeps_the_sides(a_coarse_phantom, order, tmp_path):
    ct, tumor = order.apply(a_coarse_phantom.ct), order.apply(a_coarse_phantom.tumor)
    sides = sides_in_table_and_codes(ct, tumor.with_array(tumor.array > 0), tmp_path / "s.seg.nrrd")
    assert sides == [("Left", "Left"), ("Right", "Right")]


@pytest.mark.parametrize(
    "position", ["FFS", "HFP", *(pytest.param(each, marks=pytest.mark.slow) for each in ("HFS", "FFP"))]
)
def test_a_patient_position_changes_nothing(a_coarse_phantom, position, tmp_path):
    write_dicom_series(a_coarse_phantom.ct, tmp_path / "series", patient_position=position)
    ct = read_ct(tmp_path / "series")
    order = a_coarse_phantom.ct.canonical_axes()
    tumor = ct.canonical_axes().undo(order.apply(a_coarse_phantom.tumor))
    sides = sides_in_table_and_codes(ct, tumor.with_array(tumor.array > 0), tmp_path / "s.seg.nrrd")
    assert sides == [("Left", "Left"), ("Right", "Right")]
