"""DICOM values: every attribute between a stored value and its HU is used or refused, and no header value breaks the
reader."""

from __future__ import annotations

import struct

import numpy as np
import pydicom
import pytest
from dicom_series import write_dicom_series
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import AIR_HU
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.io.stored_values import PADDING_HU, TISSUE_HU, BitField, Rescaling, ValueChain
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless
from tiers import fast_only
from volumes import make_ct

CT = make_ct(shape=(9, 40, 50))  # JPEG 2000 wants 32 pixels or more
BLOCK = np.zeros((40, 50), bool)
BLOCK[0, :] = BLOCK[5:9, 3:20] = True  # a corner and some of the middle: not image


ODD = next(value for value in range(900, 2000) if value - 1024 not in CT.array)
"""A stored value within tissue that no voxel of the CT has."""


def stored(dataset) -> np.ndarray:
    """HU + 1024, as the helper writes it."""
    return np.frombuffer(dataset.PixelData, np.int16).reshape(dataset.Rows, dataset.Columns).copy()


def unsigned(values, dataset) -> None:
    dataset.PixelRepresentation, dataset.PixelData = 0, values.astype(np.uint16).tobytes()


def read(folder, edit, transfer_syntax=ExplicitVRLittleEndian, ct=CT):
    write_dicom_series(ct, folder, edit=edit, transfer_syntax=transfer_syntax)
    back = read_ct(folder)
    assert not any(str(folder) in warning for warning in back.warnings), "results with these warnings are shared"
    return back


# Padding


def pad(value, is_signed, **attributes):
    """Write ``value`` into the block, and ``attributes``."""

    def edit(dataset, _):
        values = stored(dataset).astype(np.int64)
        values[BLOCK] = value
        dataset.PixelRepresentation = int(is_signed)
        dataset.PixelData = values.astype(np.int16 if is_signed else np.uint16).tobytes()
        for keyword, stated in attributes.items():
            vr = "SS" if stated < 0 else "US"  # scanners write either, whatever PixelRepresentation says
            dataset[keyword] = DataElement(keyword, vr, stated)

    return edit


PADDED = {
    "unsigned, high": pad(63536, False, PixelPaddingValue=63536),
    "unsigned, stated as a negative number": pad(63536, False, PixelPaddingValue=-2000),
    "signed, stated as a positive number": pad(-2000, True, PixelPaddingValue=63536),
    "signed, low": pad(-2000, True, PixelPaddingValue=-2000),
    "signed, high": pad(32767, True, PixelPaddingValue=32767),
    "highest of 12 bits": pad(4095, False, PixelPaddingValue=4095),
    "a value that tissue may have": pad(ODD, False, PixelPaddingValue=ODD),
    "a range": pad(60000, False, PixelPaddingValue=50000, PixelPaddingRangeLimit=65535),
    "a range, ends exchanged": pad(60000, False, PixelPaddingValue=65535, PixelPaddingRangeLimit=50000),
    "a range of negative numbers": pad(-2500, True, PixelPaddingValue=-3000, PixelPaddingRangeLimit=-2000),
    "not stated, below air": pad(-2000, True),
}


FEW = ("unsigned, high", "signed, low", "a range")


@pytest.mark.parametrize(
    ("case", "transfer_syntax"),
    [(case, ExplicitVRLittleEndian) for case in PADDED]
    + [
        pytest.param(case, syntax, marks=() if case in FEW else pytest.mark.slow)
        for case in PADDED
        for syntax in (ImplicitVRLittleEndian, RLELossless)
    ],
)
def test_padding_is_air_and_nothing_else_changes(tmp_path, case, transfer_syntax):
    back = read(tmp_path, PADDED[case], transfer_syntax).array
    assert (back[:, BLOCK] == AIR_HU).all()
    np.testing.assert_array_equal(back[:, ~BLOCK], CT.array[:, ~BLOCK])


def test_a_padding_value_that_only_tissue_has_is_tissue(tmp_path):
    # Some anonymizers write PixelPaddingValue 0 into every file; here the corners show that it is not the background.
    def edit(dataset, _):
        values = stored(dataset)
        values[5:9, 3:20] = ODD
        unsigned(values, dataset)
        dataset.PixelPaddingValue = ODD

    assert (read(tmp_path, edit).array[:, 5:9, 3:20] == ODD - 1024).all()


def test_a_padding_range_across_tissue_is_refused(tmp_path):
    with pytest.raises(UnusableInput, match="padding values in the range of tissue"):
        read(tmp_path, pad(-2000, True, PixelPaddingValue=-2000, PixelPaddingRangeLimit=1100))


# Bits


def overlay(shift_bits=0):
    """12 bits unsigned, with overlay bits above them."""

    def edit(dataset, _):
        values = stored(dataset).clip(0, 4095).astype(np.uint16) << shift_bits
        values[BLOCK] |= 0x1000 if not shift_bits else 0x1
        unsigned(values, dataset)
        dataset.BitsStored, dataset.HighBit = 12, 11 + shift_bits

    return edit


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("shift_bits", [0, 4])
def test_bits_beside_the_stored_ones_are_no_values(tmp_path, transfer_syntax, shift_bits):
    np.testing.assert_array_equal(read(tmp_path, overlay(shift_bits), transfer_syntax).array, CT.array)


def test_bits_above_the_stored_ones_are_no_values_in_jpeg_2000(tmp_path):
    def encode(dataset, _):
        values = stored(dataset).clip(0, 4095).astype(np.uint16)
        values[BLOCK] |= 0x1000
        unsigned(values, dataset)

    for path in write_dicom_series(CT, tmp_path, edit=encode, transfer_syntax=JPEG2000Lossless):
        dataset = pydicom.dcmread(path)
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.save_as(path)
    np.testing.assert_array_equal(read_ct(tmp_path).array, CT.array)


def test_signed_numbers_of_fewer_bits_keep_their_sign(tmp_path):
    def edit(dataset, _):
        dataset.PixelData = ((stored(dataset) - 1024).astype(np.int16) & 0x0FFF).tobytes()
        dataset.BitsStored, dataset.HighBit, dataset.RescaleIntercept = 12, 11, 0

    np.testing.assert_array_equal(read(tmp_path, edit).array, CT.array.clip(-2048, 2047))


def test_negative_padding_in_unsigned_12_bit_is_air(tmp_path):
    def edit(dataset, _):
        values = stored(dataset)
        values[BLOCK] = -2000
        unsigned(values, dataset)
        dataset.BitsStored, dataset.HighBit = 12, 11

    back = read(tmp_path, edit).array
    assert (back[:, BLOCK] == AIR_HU).all()
    np.testing.assert_array_equal(back[:, ~BLOCK], CT.array[:, ~BLOCK])


@given(
    number=st.integers(-(2**31), 2**31 - 1),
    stored_bits=st.integers(2, 16),
    signed=st.booleans(),
    room=st.integers(0, 14),
    noise=st.integers(0, 0xFFFF),
)
def test_any_bit_field_gives_its_number_whatever_stands_beside_it(number, stored_bits, signed, room, noise):
    shift = min(room, 16 - stored_bits)
    low = -(1 << (stored_bits - 1)) if signed else 0
    number = low + (number - low) % (1 << stored_bits)
    mask = ((1 << stored_bits) - 1) << shift
    above = (0xFFFF >> (stored_bits + shift)) << (stored_bits + shift)
    if not signed and noise & above == above:
        noise &= ~above  # all bits above set are a sign
    raw = np.array([[(number << shift) & mask | noise & ~mask & 0xFFFF]], np.uint16)
    found = BitField(16, stored_bits, signed, shift).numbers(raw.view(np.int16) if signed else raw)
    assert found.tolist() == [[number]]


@given(
    values=st.lists(st.integers(0, 65535), min_size=4, max_size=40),
    slope=st.sampled_from([0.25, 1.0, 2.0]),
    intercept=st.sampled_from([-8192.0, -1024.0, -1000.5, 0.0]),
    padding=st.integers(40000, 65535),
)
def test_the_chain_is_a_straight_line_within_its_limits(values, slope, intercept, padding):
    raw = np.array([values], np.uint16)
    chain = ValueChain(BitField(16, 16, False), Rescaling(slope, intercept), (padding, padding))
    may_be_tissue = TISSUE_HU[0] < padding * slope + intercept <= TISSUE_HU[1]
    counts = not may_be_tissue or padding in (values[0], values[-1])  # then only if a corner of the slice has it
    expected = np.maximum(raw * slope + intercept, PADDING_HU)
    expected[(raw == padding) & counts] = PADDING_HU
    np.testing.assert_allclose(chain.hu(raw, whole=False), expected, rtol=1e-6)
    if chain.rescaling.is_whole:
        np.testing.assert_array_equal(chain.hu(raw, whole=True), np.minimum(expected, 32767))


# Rescaling


def deleting(*keywords, slices=range(99), **attributes):
    def edit(dataset, index):
        for keyword in keywords if index in slices else ():
            delattr(dataset, keyword)
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)

    return edit


def test_an_intercept_counts_without_a_slope(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, deleting("RescaleSlope")).array, CT.array)


def test_values_without_any_rescaling_are_taken_for_hu_with_a_warning(tmp_path):
    def edit(dataset, _):
        dataset.PixelData = (stored(dataset) - 1024).astype(np.int16).tobytes()
        del dataset.RescaleSlope, dataset.RescaleIntercept

    ct = read(tmp_path, edit)
    np.testing.assert_array_equal(ct.array, CT.array)
    assert len(ct.warnings) == 1
    assert "does not state how to convert its values to HU" in ct.warnings[0]


def test_rescaling_of_their_own_is_warned_of(tmp_path):
    def edit(dataset, index):
        dataset.PixelData = (stored(dataset) - index).astype(np.int16).tobytes()
        dataset.RescaleIntercept = index - 1024

    ct = read(tmp_path, edit)
    np.testing.assert_array_equal(ct.array, CT.array)
    assert "9 different conversions" in ct.warnings[0]


REFUSED_VALUES = {
    "slope alone": (deleting("RescaleIntercept"), "does not state its RescaleIntercept"),
    "one slice without rescaling": (
        deleting("RescaleSlope", "RescaleIntercept", slices=[4]),
        r"0005\.dcm does not state its RescaleSlope and RescaleIntercept, but other"),
    "one slice without intercept": (deleting("RescaleIntercept", slices=[4]),
        r"0005\.dcm does not state its RescaleIntercept"),
    "slope 0": (deleting(RescaleSlope=0), "rescaling that is impossible for a CT"),
    "negative slope": (deleting(RescaleSlope=-1), "rescaling that is impossible for a CT"),
    "huge slope": (deleting(RescaleSlope="1e300"), "rescaling that is impossible for a CT"),
    "huge intercept": (deleting(RescaleIntercept="-1e300"), "rescaling that is impossible for a CT"),
    "optical density": (deleting(RescaleType="OD"), r"values of type OD, not Hounsfield units"),
    "effective atomic number": (deleting(RescaleType="Z_EFF"), r"values of type Z_EFF"),
    **{f"no {keyword}": (deleting(keyword), f"does not state its {keyword}; export")
        for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")},
    "12 bits allocated": (deleting(BitsAllocated=12), "impossible bit layout"),
    "more bits stored than allocated": (deleting(BitsStored=17), "impossible bit layout"),
    "high bit below the stored ones": (deleting(HighBit=3), "impossible bit layout"),
    "pixel representation 2": (deleting(PixelRepresentation=2), "impossible bit layout"),
    "palette": (deleting(PhotometricInterpretation="PALETTE COLOR"),
        "a color image, not a CT slice .PhotometricInterpretation P"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_VALUES)
def test_values_that_are_no_hu_are_refused(tmp_path, case):
    edit, message = REFUSED_VALUES[case]
    with pytest.raises(UnusableInput, match=message) as refusal:
        read(tmp_path, edit)
    assert ".dcm " in str(refusal.value)


@pytest.mark.parametrize(("factor", "count"), [(2.0, 1), (0.5, 1), (1.01, 0), (-1.0, 0), (0.0, 0)])
def test_a_contradicting_distance_of_slices_is_warned_of(tmp_path, factor, count):
    ct = read(tmp_path, deleting(SpacingBetweenSlices=f"{factor * CT.spacing[0]:g}"))
    assert len(ct.warnings) == count
    assert all("by their positions, which were used, but state" in each for each in ct.warnings)


def mapped(slope, intercept, unit="[hnsf'U]"):
    """State a conversion as real-world values."""

    def edit(dataset, _):
        mapping, units = Dataset(), Dataset()
        mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept, units.CodeValue = slope, intercept, unit
        mapping.MeasurementUnitsCodeSequence = [units]
        dataset.RealWorldValueMappingSequence = [mapping]

    return edit


@pytest.mark.parametrize("edit", [mapped(1, -1024), mapped(2, -1024, "mg/cm3"), deleting(PixelAspectRatio=[16, 14])])
def test_what_is_stated_twice_alike_is_read(tmp_path, edit):
    ct = read(tmp_path, edit)
    np.testing.assert_array_equal(ct.array, CT.array)
    assert ct.warnings == ()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (mapped(2, -1024), "two conversions to HU: value x 1 .* and value x 2 "),
        (mapped(1, 0), "two conversions to HU"),
        (deleting(PixelAspectRatio=[2, 1]), "contradicts itself: its pixels measure"),
        (deleting(PixelAspectRatio=[1, 0]), "contradicts itself"),
    ],
)
def test_contradicting_statements_are_refused(tmp_path, edit, message):
    with pytest.raises(UnusableInput, match=message):
        read(tmp_path, edit)


@pytest.mark.parametrize("slices", [[4], [4, 5, 6, 7, 8], [8]])
@pytest.mark.parametrize("wrong", [{"RescaleIntercept": 0}, {"RescaleSlope": 2}])
def test_conversions_whose_values_do_not_fit_together_are_refused(tmp_path, slices, wrong):
    def edit(dataset, index):
        dataset.update(wrong if index in slices else {})

    with pytest.raises(UnusableInput, match="neighbors with different conversions to HU"):
        read(tmp_path, edit)


def located(step_mm):
    return lambda dataset, index: setattr(dataset, "SliceLocation", f"{100 - step_mm * index:g}")


SQUARE = make_ct(shape=(9, 40, 40))
WIDTH_MM = SQUARE.spacing[2] * 40


@pytest.mark.parametrize(
    ("edit", "keyword"),
    [
        (located(SQUARE.spacing[0]), ""),
        (located(0), ""),
        (located(2 * SQUARE.spacing[0]), "SliceLocation"),
        (deleting(ReconstructionDiameter=f"{WIDTH_MM:g}"), ""),
        (deleting(ReconstructionDiameter=f"{WIDTH_MM / 2:g}"), "ReconstructionDiameter"),
        (deleting(ReconstructionDiameter=f"{WIDTH_MM / 2:g}", ImageType=["DERIVED", "SECONDARY"]), ""),
        (deleting(PatientOrientation=["L", "P"]), ""),
        (deleting(PatientOrientation=["LF", "PH"]), ""),
        (deleting(PatientOrientation=["R", "P"]), "PatientOrientation R\\P"),
        (deleting(PatientOrientation=["L", "A"]), "PatientOrientation L\\A"),
        (deleting(PatientOrientation=["", "X"]), ""),
        (deleting(GantryDetectorTilt="0"), ""),
        (deleting(GantryDetectorTilt="-12"), "GantryDetectorTilt of 12 degrees"),
    ],
)
def test_contradicting_geometry_is_warned_of(tmp_path, edit, keyword):
    warnings = read(tmp_path, edit, ct=SQUARE).warnings
    assert len(warnings) == bool(keyword)
    assert all(keyword in warning and "used" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("row_mm", "kind", "doubted"), [("0.12", "ORIGINAL", True), ("0.12", "DERIVED", False), ("0.1", "ORIGINAL", False)]
)
def test_pixels_that_no_scanner_reconstructs_are_warned_of(tmp_path, row_mm, kind, doubted):
    ct = make_ct(shape=(9, 256, 256), spacing=(2.5, 0.1, 0.1))
    warnings = read(tmp_path, deleting(PixelSpacing=[row_mm, "0.1"], ImageType=[kind, "PRIMARY"]), ct=ct).warnings
    assert ["The pixels measure 0.12 x 0.1 mm by their PixelSpacing" in each for each in warnings] == [True] * doubted


MATERIAL_MAPS = ["Z_EFF", "ELECTRON DENSITY", "MAT_SPECIFIC", "EFF_ATOMIC_NUM", "DE_IODINE", "IODINE NO WATER"]
IN_HU = ["MONO_E", "VMI", "MAT_REMOVED", "VNC", "NO_IODINE", "IODINE_REMOVED"]


@pytest.mark.parametrize("kind", MATERIAL_MAPS)
def test_maps_of_a_spectral_ct_are_refused_though_they_state_no_unit(tmp_path, kind):
    with pytest.raises(UnusableInput, match=rf"map of a spectral CT \({kind} in ImageType\)"):
        read(tmp_path, deleting("RescaleType", ImageType=["DERIVED", "PRIMARY", "AXIAL", kind]))


@pytest.mark.parametrize("kind", IN_HU)
def test_spectral_images_in_hu_are_read(tmp_path, kind):
    ct = read(tmp_path, deleting("RescaleType", ImageType=["DERIVED", "PRIMARY", "AXIAL", kind]))
    np.testing.assert_array_equal(ct.array, CT.array)


@pytest.mark.parametrize("kind", ["MAX_IP", "MIN_IP", "MIP", "PROJECTION IMAGE"])
def test_projections_are_warned_of(tmp_path, kind):
    (warning,) = read(tmp_path, deleting(ImageType=["DERIVED", "SECONDARY", "AXIAL", kind])).warnings
    assert f"projections of thicker slabs (ImageType {kind})" in warning


def test_slices_at_a_single_position_are_refused(tmp_path):
    with pytest.raises(UnusableInput, match=rf"All {len(CT.array)} slices of .* state the same position"):
        read(tmp_path, deleting(ImagePositionPatient=[0, 0, 0]))


def test_an_unspecified_unit_is_warned_of(tmp_path):
    assert "RescaleType US" in read(tmp_path, deleting(RescaleType="US")).warnings[0]


def test_a_modality_table_is_refused(tmp_path):
    def edit(dataset, _):
        table = Dataset()
        table.ModalityLUTType = "HU"
        dataset.ModalityLUTSequence = [table]

    with pytest.raises(UnusableInput, match=r"ModalityLUTSequence.*export the series with RescaleSlope"):
        read(tmp_path, edit)


# Header values of any content


HOSTILE = [b"", b"1;2", b"1\\2", b"\xff\xfe", b"1e999", b"NaN", b"9" * 300, b"\x1b[31m"]
READ_ATTRIBUTES = [
    "SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesDescription", "StudyInstanceUID", "PatientID",
    "PatientName",
    "FrameOfReferenceUID", "ConvolutionKernel", "AcquisitionNumber", "InstanceNumber", "TemporalPositionIdentifier",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "SamplesPerPixel",
    "NumberOfFrames",
    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelAspectRatio",
    "ReconstructionDiameter", "SliceLocation", "GantryDetectorTilt", "PatientOrientation",
]  # fmt: skip


def with_raw_value(file: bytes, keyword: str, value: bytes) -> bytes:
    """The bytes of an Explicit VR Little Endian file with the value of an attribute exchanged."""
    tag = pydicom.datadict.tag_for_keyword(keyword)
    begin = file.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF)) + 6
    length = int.from_bytes(file[begin : begin + 2], "little")
    return file[:begin] + struct.pack("<H", len(value)) + value + file[begin + 2 + length :]


@pytest.mark.parametrize("keyword", fast_only(READ_ATTRIBUTES[::3], READ_ATTRIBUTES))
def test_no_header_value_breaks_the_reader(tmp_path, keyword):
    """Each hostile value is read, or refused in one bounded sentence that names the file."""
    path = write_dicom_series(make_ct(), tmp_path, edit=everything_stated)[4]
    intact = path.read_bytes()
    for value in HOSTILE:
        path.write_bytes(with_raw_value(intact, keyword, value))
        try:
            read_ct(tmp_path)
        except UnusableInput as refusal:
            said = str(refusal)
            assert path.name in said or len(said.split("1 slice")) > 1
            assert len(said) < 2000
            assert said.isprintable()


def everything_stated(dataset, _):
    dataset.ConvolutionKernel, dataset.AcquisitionNumber, dataset.TemporalPositionIdentifier = "B30f", 1, 1
    dataset.NumberOfFrames, dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 1, -2000, -3000
    dataset["PixelPaddingValue"].VR = dataset["PixelPaddingRangeLimit"].VR = "SS"
    dataset.PixelAspectRatio, dataset.GantryDetectorTilt, dataset.SliceLocation = [8, 7], 0, "1"
    dataset.ReconstructionDiameter, dataset.PatientOrientation = "100", ["L", "P"]
