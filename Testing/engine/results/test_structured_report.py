"""The structured report: what its groups of measures state, and to what they refer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from chests import make_chest
from dicom_series import write_dicom_series
from LungTumorSegLib.core.terminology import TUMOR
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.lesions import measure
from LungTumorSegLib.results.contents import Extras
from LungTumorSegLib.results.exports import dicom_source
from LungTumorSegLib.results.writer import write_measures, write_result
from made_results import SHAPE, a_result

FORMATS = frozenset({"dicom"})


def write(folder: Path, *, edit=None, **choices) -> tuple[object, Path]:
    """Write a small result of a DICOM CT; return the result and its folder."""
    result = a_result(**choices)
    write_dicom_series(result.ct, folder / "ct", edit=edit)
    ct = read_ct(folder / "ct")
    result = replace(result, ct=ct)
    extras = Extras(formats=FORMATS, dicom=dicom_source(ct, FORMATS, deidentified=False))
    write_result(result, folder / "out", picture=False, extras=extras)
    return result, folder / "out"


def content_of(folder: Path):
    return highdicom.sr.srread(folder / "measurements.dcm").content


def measures(group) -> dict[str, float]:
    return {item.name.meaning: float(item.value) for item in group.get_measurements()}


def test_the_groups_of_a_lesion_state_its_measures_and_refer_to_its_segment(tmp_path):
    result, folder = write(tmp_path)
    (lesion,), seg = result.report.lesions, pydicom.dcmread(folder / "segmentation.dcm")
    content = content_of(folder)
    (voxels,), (lines,) = content.get_volumetric_roi_measurement_groups(), content.get_image_measurement_groups()
    assert measures(voxels) == pytest.approx(
        {"Volume": lesion.volume_ml, "Attenuation Coefficient": lesion.mean_hu}, rel=1e-5
    )
    assert measures(lines) == pytest.approx(
        {"Long Axis": lesion.long_axis_mm, "Short Axis": lesion.short_axis_mm}, rel=1e-5
    )
    segment = seg.SegmentSequence[2]
    assert voxels.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
    assert voxels.referenced_segment.referenced_segment_numbers == [segment.SegmentNumber]
    assert voxels.tracking_uid == lines.tracking_uid == segment.TrackingUID
    assert segment.SegmentAlgorithmName == "LungTumorSeg, model made"


def test_the_ends_of_the_axes_are_points_of_the_frame_of_reference(tmp_path):
    result, folder = write(tmp_path)
    lesion = result.report.lesions[0]
    data = pydicom.dcmread(folder / "measurements.dcm")
    drawn = [item for item in data.iterall() if item.keyword == "GraphicData"]
    for element, ruler in zip(drawn, (lesion.long_axis, lesion.short_axis), strict=True):
        np.testing.assert_allclose(np.reshape(element.value, (2, 3)), [ruler.start_lps, ruler.end_lps], atol=1e-3)
    frames = {item.value for item in data.iterall() if item.keyword == "ReferencedFrameOfReferenceUID"}
    assert frames == {pydicom.dcmread(next((tmp_path / "ct").iterdir())).FrameOfReferenceUID}


def test_the_report_says_that_it_is_not_for_clinical_use(tmp_path):
    _, folder = write(tmp_path)
    data = pydicom.dcmread(folder / "measurements.dcm")
    texts = [item.TextValue for item in data.ContentSequence if item.ValueType == "TEXT"]
    assert "Research software, not a medical device. Not for clinical use." in texts
    assert (data.CompletionFlag, data.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_without_a_lesion_the_report_states_that_their_number_is_0(tmp_path):
    _, folder = write(tmp_path, tumor=False)
    data = pydicom.dcmread(folder / "measurements.dcm")
    assert [float(item.value) for item in data.iterall() if item.keyword == "NumericValue"] == [0.0]
    assert data.ContentSequence[-1].TextValue.startswith("No lesion found; this does not exclude disease.")
    assert [segment.name for segment in read_segmentation(folder / "segmentation.dcm")] == ["Left lung", "Right lung"]


def test_results_of_a_resampled_ct_lie_on_its_grid_and_refer_to_the_series(tmp_path):
    def missing_slices(dataset, index):
        if index >= SHAPE[0] - 2:  # the last two slices lie two steps farther up
            x, y, z = map(float, dataset.ImagePositionPatient)
            dataset.ImagePositionPatient = [x, y, z + 5.0]

    chest = make_chest(SHAPE)
    write_dicom_series(chest.ct, tmp_path / "ct", edit=missing_slices)
    ct = read_ct(tmp_path / "ct")
    assert ct.resampled
    drawn = np.zeros(ct.shape, bool)
    drawn[10:31, 15:22, 35:44] = True
    lesion = Segment("Tumor 1", ct.with_array(drawn), (1.0, 0.0, 0.0), TUMOR[None])
    lungs = ct.with_array(np.zeros(ct.shape, bool)), ct.with_array(~drawn)
    report = measure(ct, [lesion], lungs=lungs)
    extras = Extras(formats=FORMATS, dicom=dicom_source(ct, FORMATS, deidentified=False))
    write_measures(ct, report, tmp_path / "out", lungs=lungs, segments=[lesion], extras=extras)
    for name in ("segmentation.dcm", "rtstruct.dcm"):
        found = read_segmentation(tmp_path / "out" / name, ct)[-1]
        points = np.sort(found.mask.index_to_lps(np.argwhere(found.mask.array)), axis=0)
        np.testing.assert_allclose(points, np.sort(ct.index_to_lps(np.argwhere(drawn)), axis=0), atol=1e-3)
        data = pydicom.dcmread(tmp_path / "out" / name)
        series = pydicom.dcmread(next((tmp_path / "ct").iterdir())).SeriesInstanceUID
        assert series in {str(item.value) for item in data.iterall() if item.VR == "UI"}
