"""Real CTs as DICOM: what is written is read back alike by programs of others, and measured alike."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from commands import run_command
from dicom_series import write_dicom_series
from LungTumorSegLib.core.crops import place, whole
from LungTumorSegLib.core.terminology import LEFT_LUNG, RIGHT_LUNG, TUMOR
from LungTumorSegLib.io.images import read_ct, read_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.io.segmentations import read_segmentation

pytestmark = [pytest.mark.real_ct, pytest.mark.slow, pytest.mark.timeout(3600)]

FORMATS = ("seg.nrrd", "nifti", "dicom")
CASES = {
    "lidc_0001": {"Tumor 1": ("mask_nodules_consensus50.nii.gz", TUMOR["Right"])},
    "lung1_001": {
        "Left lung": ("mask_lung_left.nii.gz", LEFT_LUNG),
        "Right lung": ("mask_lung_right.nii.gz", RIGHT_LUNG),
        "Tumor 1": ("mask_gtv.nii.gz", TUMOR["Right"]),
    },
}


class Case:
    """A CT as a DICOM series, and its segmentation in each format."""

    def __init__(self, source: Path, folder: Path, masks) -> None:
        self.folder, self.ct_folder = folder, folder / "ct"
        ct = read_ct(source / "ct.nii.gz")
        write_dicom_series(ct, self.ct_folder)
        segments = [
            Segment(name, mask.with_array(mask.array > 0), (0.8, 0.2, 0.2), entry)
            for name, (file, entry) in masks.items()
            for mask in [read_volume(source / file)]
        ]
        write_segmentation(segments, folder / "given.seg.nrrd", grid=ct.grid)
        self.measured(folder / "given.seg.nrrd", "out", "--format", *FORMATS)
        self.ct = read_ct(self.ct_folder)
        self.expected = {
            segment.name: whole_mask(segment, self.ct)
            for segment in read_segmentation(folder / "out" / "segmentation.seg.nrrd")
        }

    def measured(self, segmentation: Path, name: str, *options: str) -> list[dict[str, str]]:
        output = self.folder / name
        run_command("measure", self.ct_folder, segmentation, "-o", output, "--no-report", *options)
        with (output / "lesions.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def file(self, name: str) -> Path:
        return self.folder / "out" / name


def whole_mask(segment, ct) -> np.ndarray:
    """Return the voxels of a segment on the whole grid of the CT."""
    return whole(place(segment.mask, ct, segment.name), ct).array


@pytest.fixture(scope="module", params=CASES)
def case(request, real_ct_folder, tmp_path_factory) -> Case:
    return Case(real_ct_folder / request.param, tmp_path_factory.mktemp("case"), CASES[request.param])


@pytest.mark.parametrize("name", ["segmentation.dcm", "segmentation.nii.gz", "rtstruct.dcm"])
def test_our_reader_finds_the_same_voxels(case, name):
    found = {each.name: whole_mask(each, case.ct) for each in read_segmentation(case.file(name), case.ct)}
    assert found.keys() == case.expected.keys()
    for segment, mask in case.expected.items():
        assert np.array_equal(found[segment], mask), segment


def test_highdicom_finds_the_same_voxels_at_the_same_places(case):
    seg = highdicom.seg.segread(case.file("segmentation.dcm"))
    for number in seg.segment_numbers:
        volume = seg.get_volume(segment_numbers=[number], combine_segments=True)
        found = np.argwhere(volume.array > 0)
        expected = np.argwhere(case.expected[seg.get_segment_description(number).segment_label])
        ours = case.ct.index_to_lps(expected).T
        theirs = volume.affine[:3, :3] @ found.T + volume.affine[:3, 3:]
        assert len(found) == len(expected)
        assert np.abs(ours[:, np.lexsort(np.round(ours, 2))] - theirs[:, np.lexsort(np.round(theirs, 2))]).max() < 1e-3


def test_pydicom_finds_the_frames_of_each_segment_on_the_slices_of_the_ct(case):
    seg = pydicom.dcmread(case.file("segmentation.dcm"))
    slices = {str(each.SOPInstanceUID): each for each in map(pydicom.dcmread, case.ct_folder.iterdir())}
    voxels = dict.fromkeys((str(each.SegmentLabel) for each in seg.SegmentSequence), 0)
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        segment = seg.SegmentSequence[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1]
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(position, slices[source].ImagePositionPatient, atol=1e-4)
        voxels[str(segment.SegmentLabel)] += int(frame.sum())
    assert voxels == {name: int(mask.sum()) for name, mask in case.expected.items()}
    assert seg.FrameOfReferenceUID == next(iter(slices.values())).FrameOfReferenceUID


def test_simpleitk_finds_the_same_voxels_in_the_label_map(case):
    image = sitk.ReadImage(case.file("segmentation.nii.gz"))
    labels = sitk.GetArrayFromImage(image)
    stated = json.loads(case.file("segmentation.json").read_text(encoding="utf-8"))["labels"]
    assert np.allclose(image.GetOrigin(), case.ct.affine[:3, 3], atol=1e-3)
    for label, about in stated.items():
        assert np.array_equal(labels == int(label), case.expected[about["name"]]), label


def test_contours_enclose_the_volume_of_the_voxels(case):
    """The area of each contour by the shoelace formula, in which the line to a hole counts forth and back."""
    plan = pydicom.dcmread(case.file("rtstruct.dcm"))
    names = {each.ROINumber: str(each.ROIName) for each in plan.StructureSetROISequence}
    thickness = case.ct.spacing[0]
    for roi in plan.ROIContourSequence:
        areas = [shoelace(np.reshape(contour.ContourData, (-1, 3))) for contour in roi.ContourSequence]
        mask = case.expected[names[roi.ReferencedROINumber]]
        assert sum(areas) * thickness / 1000 == pytest.approx(mask.sum() * case.ct.voxel_volume_ml, rel=0.01)


def shoelace(points: np.ndarray) -> float:
    x, y = points[:, 0].astype(float), points[:, 1].astype(float)
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def test_the_table_is_the_same_from_each_format(case):
    expected = case.measured(case.file("segmentation.seg.nrrd"), "from-seg-nrrd")
    assert expected
    assert case.measured(case.file("segmentation.dcm"), "from-seg") == expected
    for row, other in zip(case.measured(case.file("rtstruct.dcm"), "from-rtstruct"), expected, strict=True):
        assert float(row["volume_ml"]) == pytest.approx(float(other["volume_ml"]), rel=0.01)


def test_the_structured_report_states_the_table(case):
    (group,) = highdicom.sr.srread(case.file("measurements.dcm")).content.get_volumetric_roi_measurement_groups()
    (row,) = case.measured(case.file("segmentation.seg.nrrd"), "for-the-report")
    found = {item.name.meaning: float(item.value) for item in group.get_measurements()}
    assert found["Volume"] == pytest.approx(float(row["volume_ml"]), rel=1e-3)
    assert found["Attenuation Coefficient"] == pytest.approx(float(row["mean_hu"]), rel=1e-3, abs=0.1)


@pytest.mark.skipif(shutil.which("segimage2itkimage") is None, reason="dcmqi is not installed")
def test_dcmqi_finds_the_same_voxels(case, tmp_path):
    command = ["segimage2itkimage", "--inputDICOM", str(case.file("segmentation.dcm")), "--outputDirectory"]
    subprocess.run([*command, str(tmp_path), "--outputType", "nrrd"], check=True, capture_output=True)
    labels = pydicom.dcmread(case.file("segmentation.dcm"), stop_before_pixels=True).SegmentSequence
    for number, segment in enumerate(labels, 1):
        image = sitk.ReadImage(tmp_path / f"{number}.nrrd")
        found, expected = np.argwhere(sitk.GetArrayFromImage(image)), np.argwhere(case.expected[segment.SegmentLabel])
        assert len(found) == len(expected)
        first = image.TransformIndexToPhysicalPoint([int(each) for each in found[0][::-1]])
        assert np.linalg.norm(case.ct.index_to_lps(expected) - np.array(first), axis=1).min() < 1e-2


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("name", ["segmentation.dcm", "measurements.dcm", "rtstruct.dcm"])
def test_the_objects_keep_to_the_standard(case, name):
    done = subprocess.run(["dciodvfy", str(case.file(name))], capture_output=True, text=True, errors="replace")
    assert [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")] == []
