"""DICOM segmentations and structure sets as segments."""

import numpy as np
import pydicom
import pytest
from dicom_seg_files import write_dicom_seg
from dicom_series import write_dicom_series
from LungTumorSegLib.core.crops import place, whole
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.selection import is_lesion
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.io.segmentations import NO_LESION, read_lesion_labels, read_segmentation
from LungTumorSegLib.lesions import measure
from rtstruct_files import write_rtstruct
from volumes import an_oblique_ct, make_ct

SHAPE = (9, 10, 12)


def masks():
    tumor, heart = np.zeros((2, *SHAPE), dtype=bool)
    tumor[2:4, 3:6, 4:9] = tumor[6, 4, 5] = True
    heart[1:8, 2:9, 2:10] = True
    return tumor, heart


@pytest.fixture(scope="module", params=["axial", "oblique"])
def a_seg(request, tmp_path_factory):
    """A DICOM CT and a segmentation of it: (CT as read, folder of the CT, SEG file)."""
    folder = tmp_path_factory.mktemp(request.param)
    ct = an_oblique_ct() if request.param == "oblique" else make_ct()
    files = write_dicom_series(ct, folder / "ct")
    tumor, heart = masks()
    seg = write_dicom_seg(folder / "seg" / "seg.dcm", files, [("A", "lesion", tumor), ("B", "organ", heart)])
    return read_ct(folder / "ct"), folder / "ct", seg


def test_segments_lie_where_they_were_drawn(a_seg):
    ct, _, path = a_seg
    for segment, mask in zip(read_segmentation(path), masks(), strict=True):
        points = np.sort(ct.index_to_lps(np.argwhere(mask)), axis=0)
        found = np.sort(segment.mask.index_to_lps(np.argwhere(segment.mask.array)), axis=0)
        np.testing.assert_allclose(found, points, atol=1e-3)


def test_the_category_tells_a_lesion_from_an_organ(a_seg):
    assert [is_lesion(segment) for segment in read_segmentation(a_seg[2])] == [True, False]
    assert np.count_nonzero(read_lesion_labels(a_seg[2]).array) == np.count_nonzero(masks()[0])


def test_a_folder_with_one_segmentation_is_that_segmentation(a_seg):
    assert [segment.name for segment in read_segmentation(a_seg[2].parent)] == ["A", "B"]
    with pytest.raises(UnusableInput, match="contains no segmentations"):
        read_segmentation(a_seg[1])


def test_a_ct_slice_is_no_segmentation(a_seg):
    file = next(a_seg[1].iterdir())
    with pytest.raises(UnusableInput, match=r"but another kind of DICOM file \(CT Image Storage\)"):
        read_segmentation(file)


def test_fractional_segments_are_refused(tmp_path):
    files = write_dicom_series(make_ct(), tmp_path / "ct")
    path = write_dicom_seg(tmp_path / "f.dcm", files, [("A", "lesion", masks()[0] * 0.5)], kind="FRACTIONAL")
    with pytest.raises(UnusableInput, match=r"f\.dcm are fractional"):
        read_segmentation(path)


def test_a_damaged_segmentation_is_refused(a_seg, tmp_path):
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(a_seg[2].read_bytes()[:-200])
    with pytest.raises(UnusableInput, match=r"cut\.dcm is damaged"):
        read_segmentation(cut)


def fewer_frames(data):
    data.NumberOfFrames = len(data.PerFrameFunctionalGroupsSequence) - 1


def frames_of_an_unknown_segment(data):
    for frame in data.PerFrameFunctionalGroupsSequence[:2]:
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7


def fewer_rows(data):
    data.Rows //= 2


def fewer_frames_but_all_pixels(data):
    data.PerFrameFunctionalGroupsSequence = data.PerFrameFunctionalGroupsSequence[:-2]
    data.NumberOfFrames = len(data.PerFrameFunctionalGroupsSequence)


@pytest.mark.parametrize("edit", [fewer_frames, frames_of_an_unknown_segment, fewer_rows, fewer_frames_but_all_pixels])
def test_frames_that_contradict_the_header_are_refused(a_seg, tmp_path, edit):
    data = pydicom.dcmread(a_seg[2])
    edit(data)
    data.save_as(tmp_path / "wrong.dcm")
    with pytest.raises(UnusableInput, match=r"wrong\.dcm is damaged or incomplete, or its frames do not form"):
        read_segmentation(tmp_path / "wrong.dcm")


def without(*keywords):
    """Return an edit that leaves attributes out of a segmentation and of its segments."""

    def edit(data):
        for item in (data, *data.SegmentSequence):
            for keyword in keywords:
                if keyword in item:
                    del item[keyword]

    return edit


def emptied_codes(data):
    for segment in data.SegmentSequence:
        segment.SegmentedPropertyCategoryCodeSequence = segment.SegmentedPropertyTypeCodeSequence = []


def deflated(data):
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian


@pytest.mark.parametrize(("edit", "names"), [
    (without("FrameOfReferenceUID"), ["A", "B"]),
    (without("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"), ["A", "B"]),
    (emptied_codes, ["A", "B"]),
    (without("SegmentLabel", "SegmentAlgorithmType"), ["Segment 1", "Segment 2"]),
    (deflated, ["A", "B"]),
], ids=["no frame of reference", "no codes", "empty codes", "no names", "deflated"])  # fmt: skip
def test_what_other_programs_leave_out_does_not_matter(a_seg, tmp_path, edit, names):
    data = pydicom.dcmread(a_seg[2])
    edit(data)
    data.save_as(tmp_path / "other.dcm")
    found = read_segmentation(tmp_path / "other.dcm", a_seg[0])
    assert [each.name for each in found] == names
    for one, expected in zip(found, read_segmentation(a_seg[2]), strict=True):
        np.testing.assert_array_equal(one.mask.array, expected.mask.array)
        np.testing.assert_allclose(one.mask.affine, expected.mask.affine)


@pytest.mark.parametrize("thickness_mm", [2.5, 5.0])
def test_frames_skip_slices_of_the_ct_unless_they_are_as_thick(tmp_path, thickness_mm):
    """A file need not state the distance of its frames. Two lesions, each outlined in one slice, are 5 mm apart."""
    ct = make_ct(shape=SHAPE, spacing=(2.5, 1.0, 1.0))

    def edit(data):
        measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        del measures.SpacingBetweenSlices
        measures.SliceThickness = thickness_mm

    drawn = np.zeros((2, *SHAPE), dtype=bool)
    drawn[0, 3, 2:6, 3:7] = drawn[1, 5, 4:7, 6:9] = True
    files = write_dicom_series(ct, tmp_path / "ct")
    path = write_dicom_seg(
        tmp_path / "seg.dcm", files, [("A", "lesion", drawn[0]), ("B", "lesion", drawn[1])], edit=edit
    )
    read = read_ct(tmp_path / "ct")
    found = read_segmentation(path, read)
    assert found[0].mask.spacing[0] == pytest.approx(thickness_mm)
    if thickness_mm == 2.5:
        for segment, mask in zip(found, drawn, strict=True):
            np.testing.assert_array_equal(whole(place(segment.mask, read, "A"), read).array, mask)


def test_label_maps_are_read_and_refused_with_a_label_that_is_not_described(tmp_path):
    tumor, heart = masks()
    drawn = [("A", "lesion", tumor), ("B", "organ", heart & ~tumor)]
    files = write_dicom_series(make_ct(), tmp_path / "ct")
    complete = write_dicom_seg(tmp_path / "map.dcm", files, drawn, kind="LABELMAP")
    found = read_segmentation(complete)
    assert [(each.name, np.count_nonzero(each.mask.array)) for each in found] == [
        (name, np.count_nonzero(mask)) for name, _, mask in drawn
    ]

    def edit(data):
        data.SegmentSequence = [each for each in data.SegmentSequence if each.SegmentNumber != 2]

    path = write_dicom_seg(tmp_path / "half.dcm", files, drawn, kind="LABELMAP", edit=edit)
    with pytest.raises(UnusableInput, match=r"half\.dcm is damaged or incomplete"):
        read_segmentation(path)


def test_fractions_that_are_called_binary_are_refused(tmp_path):
    def edit(data):
        data.SegmentationType = "BINARY"

    files = write_dicom_series(make_ct(), tmp_path / "ct")
    tumor, heart = masks()
    path = write_dicom_seg(
        tmp_path / "f.dcm", files, [("A", "lesion", 0.2 * tumor + 0.5 * (heart & ~tumor))], kind="FRACTIONAL", edit=edit
    )
    with pytest.raises(UnusableInput, match=r"f\.dcm are fractional"):
        read_segmentation(path)


def square(ct, level, start, stop):
    index = [(level, start, start), (level, start, stop), (level, stop, stop), (level, stop, start)]
    return ct.index_to_lps(np.array(index, float))


def test_the_lesions_of_a_structure_set_are_read_on_the_ct(tmp_path):
    ct = make_ct()
    rois = {
        "GTV-1": [square(ct, k, 2.5, 6.5) for k in (3, 4)],
        "PTV": [square(ct, k, 1.5, 7.5) for k in (2, 3, 4, 5)],
        "Heart": [square(ct, -4, 2.5, 6.5)],  # beyond the CT: organs do not matter
    }
    path = write_rtstruct(tmp_path / "rs" / "rs.dcm", rois)
    (segment,) = read_segmentation(tmp_path / "rs", ct)
    assert segment.name == "GTV-1"
    assert segment.mask.same_grid(ct)
    assert np.count_nonzero(segment.mask.array) == 2 * 4 * 4
    np.testing.assert_array_equal(read_lesion_labels(path, ct).array > 0, segment.mask.array)
    with pytest.raises(UnusableInput, match="choose the CT too"):
        read_segmentation(path)


def test_a_structure_set_of_organs_has_no_lesion(tmp_path):
    ct = make_ct()
    path = write_rtstruct(tmp_path / "rs.dcm", {"Heart": [square(ct, 3, 2.5, 6.5)]})
    with pytest.raises(UnusableInput, match=r"no region of interest that is a lesion; .*its regions are: Heart"):
        read_segmentation(path, ct)


def of_the_same_ct(data):
    pass


def of_another_patient(data):
    data.PatientID = "another"


def of_another_frame(data):
    data.FrameOfReferenceUID = "1.2.3"


def of_another_series(data):
    """As from another phase of a 4D CT, which shares the frame of reference."""
    referenced = data if "ReferencedSeriesSequence" in data else first_study(data)
    keyword = "ReferencedSeriesSequence" if referenced is data else "RTReferencedSeriesSequence"
    referenced[keyword][0].SeriesInstanceUID = "1.2.3"


def first_study(data):
    return data.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]


@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
@pytest.mark.parametrize(
    ("edit", "warning"),
    [
        (of_the_same_ct, ""),
        (of_another_patient, "was drawn for another patient than that of the CT (PatientID)"),
        (of_another_frame, "was drawn in another frame of reference than that of the CT (FrameOfReferenceUID)"),
        (of_another_series, "was drawn on another series than that of the CT (SeriesInstanceUID)"),
    ],
)
def test_a_mask_of_another_ct_is_warned_of(tmp_path, kind, edit, warning):
    files = write_dicom_series(make_ct(), tmp_path / "ct")
    ct, header = read_ct(tmp_path / "ct"), pydicom.dcmread(files[0])
    if kind == "seg":
        path = write_dicom_seg(tmp_path / "seg.dcm", files, [("A", "lesion", masks()[0])])
    else:
        rois = {"A": [square(ct, 4, 1.0, 6.0)]}
        path = write_rtstruct(
            tmp_path / "rs.dcm", rois, series=header.SeriesInstanceUID, patient=str(header.get("PatientID", ""))
        )
    data = pydicom.dcmread(path)
    data.FrameOfReferenceUID = header.FrameOfReferenceUID
    edit(data)
    data.save_as(path)
    found = [said for segment in read_segmentation(path, ct) for said in segment.warnings]
    assert len(found) == bool(warning)
    assert all(warning in said for said in found)


def test_a_region_of_another_frame_of_reference_is_warned_of_by_its_name(tmp_path):
    """As in a set with regions drawn on the CT and on a PET that is not registered with it."""
    files = write_dicom_series(make_ct(), tmp_path / "ct")
    ct, frame = read_ct(tmp_path / "ct"), pydicom.dcmread(files[0]).FrameOfReferenceUID

    def edit(data):
        for roi, stated in zip(data.StructureSetROISequence, (frame, "1.2.3", "1.2.3"), strict=True):
            roi.ReferencedFrameOfReferenceUID = stated

    drawn = [square(ct, 4, 1.0, 6.0)]
    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": drawn, "GTV PET": drawn, "Heart": drawn}, edit=edit)
    (said,) = (said for segment in read_segmentation(path, ct) for said in segment.warnings)
    assert "another frame of reference than that of the CT: GTV PET. " in said


def without_segments(data):
    data.SegmentSequence = []


def without_frames(data):
    data.PerFrameFunctionalGroupsSequence, data.NumberOfFrames, data.PixelData = [], 0, b""


@pytest.mark.parametrize(("edit", "what"), [(without_segments, "segment"), (without_frames, "frame")])
def test_a_segmentation_without_segments_or_frames_is_refused_for_this_reason(tmp_path, edit, what):
    files = write_dicom_series(make_ct(), tmp_path / "ct")
    path = write_dicom_seg(tmp_path / "e.dcm", files, [("A", "lesion", masks()[0])], edit=edit)
    with pytest.raises(UnusableInput, match=f"contains no {what}, so it shows no lesion"):
        read_segmentation(path)


def test_empty_frames_are_said(tmp_path):
    ct = make_ct()
    files = write_dicom_series(ct, tmp_path / "ct")

    def blank(data):
        data.PixelData = bytes(len(data.PixelData))

    path = write_dicom_seg(tmp_path / "e.dcm", files, [("A", "lesion", masks()[0])], edit=blank)
    said = []
    assert not read_lesion_labels(path, warn=said.append).array.any()
    assert said == [NO_LESION]
    assert "These segments are empty and were not measured: A." in measure(ct, read_segmentation(path)).warnings[0]
