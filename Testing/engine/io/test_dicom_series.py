"""DICOM series: geometry from slice positions alone, values, choice of series, and every series that is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_series import write_dicom_series
from hypothesis import HealthCheck, given, settings
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import AIR_HU, AxisOrder, Volume
from LungTumorSegLib.io.images import read_ct
from pydicom.pixels import get_encoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from volumes import affine_of, an_oblique_ct, hu_at, make_ct, random_volumes

EXACT_MM = 1e-4
"""The contract: results lie within this of the input's grid."""

ROUNDING_HU = 1.01
"""Test slices are rounded to whole HU, and so is what is interpolated between them: half a unit each."""

UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
COMPRESSED = (
    RLELossless,
    JPEGLosslessSV1,
    JPEG2000Lossless,
    pytest.param(
        JPEGLSLossless, marks=pytest.mark.skipif(not get_encoder(JPEGLSLossless).is_available, reason="needs pyjpegls")
    ),
)

FLIPPED_SLICES = AxisOrder((0, 1, 2), (True, False, False))

few_series = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_dicom_counts(volume: Volume) -> Volume:
    """The volume with slices in the order of the reader: along column direction x row direction."""
    slice_axis, row_axis, column_axis = volume.direction.T
    return volume if np.cross(column_axis, row_axis) @ slice_axis > 0 else FLIPPED_SLICES.apply(volume)


def assert_values_lie_where_they_belong(ct, tolerance_hu=ROUNDING_HU):
    """Every voxel that is not air outside the slices has the value of its place."""
    places = ct.index_to_lps(np.moveaxis(np.indices(ct.shape), 0, -1))
    inside = ct.array > AIR_HU / 2 - 400
    np.testing.assert_allclose(ct.array[inside], hu_at(places)[inside], atol=tolerance_hu)


def edit_file(path: Path, **attributes) -> Path:
    dataset = pydicom.dcmread(path)
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


# Exact reading


@given(volume=random_volumes())
@few_series
def test_any_orientation_comes_back_exactly(tmp_path, volume):
    shutil.rmtree(tmp_path / "series", ignore_errors=True)
    write_dicom_series(volume, tmp_path / "series")
    back, expected = read_ct(tmp_path / "series"), as_dicom_counts(volume)
    np.testing.assert_array_equal(back.array, expected.array)
    assert back.same_grid(expected, tolerance_mm=EXACT_MM)
    assert not back.resampled
    assert back.warnings == ()
    assert back.array.dtype == np.int16


TURNS = {"HFS": (1, 1, 1), "FFS": (-1, 1, -1), "HFP": (-1, -1, 1), "FFP": (1, -1, -1)}
"""How a scanner lays columns, rows and slices out in LPS (signs of x, y, z) for each position of the patient on its
table."""


@pytest.mark.parametrize("claimed", TURNS)
@pytest.mark.parametrize("lying", TURNS)
def test_axes_come_from_positions_whatever_the_patient_position_claims(tmp_path, lying, claimed):
    x, y, z = TURNS[lying]
    ct = make_ct(axes=np.array([[0, 0, x], [0, y, 0], [z, 0, 0]], dtype=float))
    write_dicom_series(ct, tmp_path, patient_position=claimed)
    back = read_ct(tmp_path)
    upright = back.canonical_axes().apply(back)
    assert_values_lie_where_they_belong(back)
    assert_values_lie_where_they_belong(upright)
    assert (np.diag(upright.direction[::-1]) > 0.99).all()


@pytest.mark.parametrize("transfer_syntax", [*UNCOMPRESSED, *COMPRESSED], ids=lambda uid: uid.name)
def test_every_transfer_syntax_gives_the_same_hu(tmp_path, transfer_syntax):
    ct = make_ct(shape=(9, 40, 50))  # JPEG 2000 wants 32 pixels or more
    write_dicom_series(ct, tmp_path, transfer_syntax=transfer_syntax)
    np.testing.assert_array_equal(read_ct(tmp_path).array, ct.array)


def test_slope_and_intercept_belong_to_each_slice(tmp_path):
    ct = make_ct()

    def own_rescale(dataset, index):
        stored = np.frombuffer(dataset.PixelData, np.int16).astype(int) - 1024  # as written: HU + 1024
        dataset.RescaleIntercept = -100 * index
        dataset.PixelData = (stored + 100 * index).astype(np.int16).tobytes()

    write_dicom_series(ct, tmp_path, edit=own_rescale)
    back = read_ct(tmp_path)
    assert back.array.dtype == np.int16
    np.testing.assert_array_equal(back.array, ct.array)


def test_fractional_slopes_give_fractional_hu(tmp_path):
    ct = make_ct()
    write_dicom_series(Volume(ct.array + np.float32(0.5), ct.affine), tmp_path, slope=0.5)
    back = read_ct(tmp_path)
    assert back.array.dtype == np.float32
    np.testing.assert_array_equal(back.array, ct.array + np.float32(0.5))


def test_unsigned_pixels_and_padding(tmp_path):
    ct = make_ct()

    def unsigned(dataset, _):
        pixels = np.frombuffer(dataset.PixelData, np.int16).astype(np.uint16)
        pixels[0], pixels[1] = 0, 65535  # -1024 HU, and more than int16 holds
        dataset.PixelRepresentation, dataset.PixelData = 0, pixels.tobytes()

    write_dicom_series(ct, tmp_path, edit=unsigned)
    back = read_ct(tmp_path).array
    np.testing.assert_array_equal(back[:, 1:], ct.array[:, 1:])
    assert (back[:, 0, 0] == AIR_HU).all()
    assert (back[:, 0, 1] == 32767).all()


def test_padding_below_air_becomes_air(tmp_path):
    def pad(dataset, _):
        dataset.PixelData = np.int16(-2000).tobytes() + dataset.PixelData[2:]  # -3024 HU

    write_dicom_series(make_ct(), tmp_path, edit=pad)
    assert (read_ct(tmp_path).array[:, 0, 0] == AIR_HU).all()


def test_rounded_direction_cosines_are_made_unit_vectors(tmp_path):
    ct = make_ct(turn_degrees=(14, -9, 25))

    def rounded(dataset, _):
        dataset.ImageOrientationPatient = [round(float(value), 5) for value in dataset.ImageOrientationPatient]

    write_dicom_series(ct, tmp_path, edit=rounded)
    back = read_ct(tmp_path)
    np.testing.assert_allclose(back.spacing, ct.spacing, rtol=1e-4)
    assert back.same_grid(ct, tolerance_mm=12 * 2.5 * 1e-4)


# Which files, which series


def test_folders_are_searched_and_other_files_passed_over(tmp_path):
    ct = make_ct()
    paths = write_dicom_series(ct, tmp_path / "a" / "b", suffix="")
    paths[0].rename(tmp_path / "first.IMA")
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty.dcm").touch()
    other = generate_uid()
    for name, attributes in {
        "localizer": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesInstanceUID": other},
        "own_localizer": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        "dose": {"Modality": "SR", "SeriesInstanceUID": other},
        "mask": {"Modality": "SEG", "NumberOfFrames": 9, "SeriesInstanceUID": other},
        "plan": {"Modality": "RTSTRUCT", "SeriesInstanceUID": other},
    }.items():
        edit_file(Path(shutil.copy(paths[1], tmp_path / name)), **attributes)
    screenshot = pydicom.dcmread(paths[1])
    screenshot.SOPClassUID = screenshot.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    del screenshot.ImagePositionPatient
    screenshot.save_as(tmp_path / "screenshot")
    directory = pydicom.dcmread(paths[1])
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    del directory.Modality
    directory.save_as(tmp_path / "DICOMDIR")
    back = read_ct(tmp_path)
    np.testing.assert_array_equal(back.array, ct.array)
    assert back.same_grid(ct, tolerance_mm=EXACT_MM)


def two_series(folder: Path) -> tuple[str, str]:
    first, second = "1.2.3.1", "1.2.3.2"
    write_dicom_series(make_ct(), folder / "a", series_uid=first, description="Lung\n 1 mm")
    write_dicom_series(an_oblique_ct(), folder / "b", series_uid=second, description="Soft tissue", skip=(0,))
    return first, second


def test_several_series_are_listed(tmp_path):
    two_series(tmp_path)
    with pytest.raises(UnusableInput, match=r"2 CT series; choose one with --series: ") as refusal:
        read_ct(tmp_path)
    assert str(refusal.value).endswith("--series: 1.2.3.1 (Lung 1 mm, 9 slices); 1.2.3.2 (Soft tissue, 8 slices).")


def test_the_chosen_series_is_read(tmp_path):
    first, second = two_series(tmp_path)
    assert read_ct(tmp_path, series=first).same_grid(make_ct(), tolerance_mm=EXACT_MM)
    assert read_ct(tmp_path, series=second).same_grid(
        an_oblique_ct().crop((1, 0, 0), (9, 10, 12)), tolerance_mm=EXACT_MM
    )


def test_a_series_that_is_not_there_is_refused(tmp_path):
    two_series(tmp_path)
    with pytest.raises(
        UnusableInput,
        match=r"contains no CT series 9\.9; choose one of: 1\.2\.3\.1 \(Lung 1 mm, 9 slices\); 1\.2\.3\.2",
    ):
        read_ct(tmp_path, series="9.9")


def test_a_short_series_beside_a_long_one_needs_no_choice(tmp_path):
    write_dicom_series(make_ct(), tmp_path / "chest")
    write_dicom_series(make_ct(shape=(7, 10, 12)), tmp_path / "bolus tracking")
    assert read_ct(tmp_path).shape == (9, 10, 12)


def test_identical_copies_are_dropped(tmp_path):
    ct = make_ct()
    paths = write_dicom_series(ct, tmp_path)
    shutil.copy(paths[3], tmp_path / "copy.dcm")
    edit_file(Path(shutil.copy(paths[4], tmp_path / "other id.dcm")), SOPInstanceUID=generate_uid())
    back = read_ct(tmp_path)
    np.testing.assert_array_equal(back.array, ct.array)
    assert back.warnings == ()


# Slices that form no regular grid


def write_slices_at(folder: Path, positions, *, turn_degrees=(0.0, 0.0, 0.0), pixels=(10, 12)) -> None:
    """Slices of ``hu_at`` whose first pixels lie at ``positions``, in planes turned by ``turn_degrees``."""
    stack = affine_of(turn_degrees=turn_degrees)
    offsets = np.moveaxis(np.indices(pixels), 0, -1) @ stack[:3, 1:3].T
    array = np.rint(hu_at(np.asarray(positions)[:, np.newaxis, np.newaxis] + offsets)).astype(np.int16)

    def place(dataset, index):
        dataset.ImagePositionPatient = [
            pydicom.valuerep.format_number_as_ds(float(value)) for value in positions[index]
        ]

    write_dicom_series(Volume(array, stack), folder, edit=place)


def straight(heights) -> np.ndarray:
    return np.array([[-11.0, 7.0, -30.0 + height] for height in heights])


@pytest.mark.parametrize("tilt_degrees", [12.0, -25.0, 0.5])
def test_a_tilted_stack_is_resampled_to_an_orthogonal_grid(tmp_path, tilt_degrees):
    write_slices_at(tmp_path, straight(np.arange(20) * 2.0), turn_degrees=(tilt_degrees, 0, 0), pixels=(30, 12))
    ct = read_ct(tmp_path)
    assert ct.resampled
    assert ct.warnings == (
        f"The slices are tilted relative to their stack by {abs(tilt_degrees):.1f} degrees. "
        "The CT was resampled to a regular orthogonal grid, "
        "and the results use this grid (ct.nrrd).",
    )
    assert_values_lie_where_they_belong(ct)
    # The planes stay those that were acquired; their distance along the normal is shorter, and no
    # pixel of them is lost.
    np.testing.assert_allclose(ct.direction, affine_of((1, 1, 1), (tilt_degrees, 0, 0))[:3, :3], atol=1e-9)
    assert ct.spacing == pytest.approx((2 * np.cos(np.radians(tilt_degrees)), 0.8, 0.7))
    corners = ct.lps_to_index(straight(np.arange(20) * 2.0)[[0, -1]])
    assert (corners > -1e-6).all()
    assert (corners + np.array([0, 29, 11]) < np.array(ct.shape) - 1 + 1e-6).all()


def test_a_tilted_stack_has_air_where_nothing_was_scanned(tmp_path):
    write_slices_at(tmp_path, straight(np.arange(20) * 2.0), turn_degrees=(25, 0, 0), pixels=(30, 12))
    ct = read_ct(tmp_path)
    assert ct.shape[1] > 30
    assert (ct.array[0, -3:] == AIR_HU).all() or (ct.array[0, :3] == AIR_HU).all()
    assert (ct.array > AIR_HU).sum() >= 20 * 29 * 12


def test_gantry_tilt_of_a_real_scanner_is_not_hidden_by_regular_positions(tmp_path):
    # Equal steps along z with tilted planes look regular to a reader that counts slices; 38 mm at 12 degrees
    # shear by 7.9 mm.
    write_slices_at(tmp_path, straight(np.arange(20) * 2.0), turn_degrees=(12, 0, 0), pixels=(30, 12))
    assert read_ct(tmp_path).shape[1] == 30 + int(np.ceil(38 * np.sin(np.radians(12)) / 0.8))


@pytest.mark.parametrize("missing", [(4,), (4, 5), (4, 5, 6), (2, 3, 4, 6, 9)])
def test_up_to_three_missing_slices_are_bridged(tmp_path, missing):
    full = make_ct(shape=(14, 10, 12))
    write_dicom_series(full, tmp_path, skip=missing)
    ct = read_ct(tmp_path)
    assert ct.resampled
    assert f"({len(missing)} missing)" in ct.warnings[0]
    assert ct.same_grid(full, tolerance_mm=EXACT_MM)
    linear = full.array > AIR_HU + 400  # further down, the values are cut off at air and no straight line any more
    np.testing.assert_allclose(ct.array[linear], full.array[linear], atol=1)
    there = [index for index in range(14) if index not in missing]
    np.testing.assert_array_equal(ct.array[there], full.array[there])


def test_four_missing_slices_are_refused(tmp_path):
    write_dicom_series(make_ct(shape=(20, 10, 12)), tmp_path, skip=(7, 8, 9, 10))
    with pytest.raises(
        UnusableInput,
        match=r"4 neighboring slices of .* are missing \(12\.5 mm apart where 2\.5 mm is usual\).*at most 3",
    ):
        read_ct(tmp_path)


def test_distances_that_vary_by_one_percent_are_accepted(tmp_path):
    jitter = np.random.default_rng(3).choice([0.9925, 1.0, 1.0075], 19)
    heights = np.concatenate([[0], np.cumsum(2.0 * jitter)])
    write_slices_at(tmp_path, straight(heights))
    ct = read_ct(tmp_path)
    assert not ct.resampled
    assert ct.warnings == ()
    assert ct.spacing[0] == pytest.approx(heights[-1] / 19)
    np.testing.assert_allclose(ct.index_to_lps((19, 0, 0)), straight(heights)[-1], atol=EXACT_MM)


@pytest.mark.parametrize(
    "distances", [[2.0] * 10 + [2.06] + [2.0] * 8, [1.25] * 10 + [2.5] * 9, [0.99] * 60 + [1.01] * 60]
)
def test_distances_that_vary_more_or_add_up_are_resampled(tmp_path, distances):
    heights = np.concatenate([[0], np.cumsum(distances)])
    write_slices_at(
        tmp_path, straight(heights - heights[-1] / 2)
    )  # about 0, where the HU of the test field are plausible
    ct = read_ct(tmp_path)
    assert ct.resampled
    assert f"are {min(distances):.4g} to {max(distances):.4g} mm apart" in ct.warnings[0]
    assert ct.spacing[0] == pytest.approx(min(distances))
    assert ct.shape[0] == int(heights[-1] / min(distances) + 1e-6) + 1
    assert_values_lie_where_they_belong(ct)


def test_slices_shifted_sideways_go_to_their_place(tmp_path):
    positions = straight(np.arange(12) * 2.0)
    positions[6:] += (2.0, -3.0, 0)  # reconstructed about another center from the seventh slice on
    write_slices_at(tmp_path, positions, pixels=(30, 40))
    ct = read_ct(tmp_path)
    assert ct.resampled
    assert_values_lie_where_they_belong(ct)


# Refused series


def changed(**attributes):
    return lambda dataset, _: [setattr(dataset, keyword, value) for keyword, value in attributes.items()] and None


def without(keyword):
    return lambda dataset, _: delattr(dataset, keyword)


def on_slice(index, edit):
    return lambda dataset, i: edit(dataset, i) if i == index else None


def color(dataset, _):
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.PixelData = bytes(10 * 12 * 3)


def short_pixels(dataset, _):
    dataset.PixelData = dataset.PixelData[:-40]


def other_rows(dataset, _):
    dataset.Rows, dataset.PixelData = 9, dataset.PixelData[: 9 * 12 * 2]


DAMAGED = "is a damaged or truncated DICOM file; copy or export the series again"

REFUSED_SERIES = {
    "MR": (changed(Modality="MR"), r"contains no CT slices \(found: 9 MR\); choose a CT series"),
    "localizers": (changed(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "contains no CT slices"),
    "color": (color, "a color image, not a CT slice"),
    "multi-frame": (changed(NumberOfFrames=2), "multi-frame DICOM .enhanced CT., which is not supported; convert it"),
    "no position": (without("ImagePositionPatient"),
        "does not state its ImagePositionPatient; export the series again"),
    "no orientation": (without("ImageOrientationPatient"), "does not state its ImageOrientationPatient"),
    "no pixel spacing": (without("PixelSpacing"), "does not state its PixelSpacing"),
    "no intercept": (without("RescaleIntercept"), "does not state its RescaleIntercept"),
    "no rescaling": (lambda d, i: (delattr(d, "RescaleSlope"), delattr(d, "RescaleIntercept"))[0],
        "is not a chest CT in HU"),
    "no modality": (without("Modality"), DAMAGED),
    "no pixels": (without("PixelData"), DAMAGED),
    "one slice with too few pixels": (on_slice(4, short_pixels), f"0005.dcm {DAMAGED}"),
    "zero pixel spacing": (changed(PixelSpacing=[0, 0.7]), "impossible position, orientation or pixel spacing"),
    "pixel spacing in meters": (changed(PixelSpacing=[0.0008, 0.0007]), "is impossible for a CT"),
    "zero orientation": (changed(ImageOrientationPatient=[0] * 6), "impossible position, orientation"),
    "skew orientation": (changed(ImageOrientationPatient=[1, 0, 0, 0.6, 0.8, 0]), "impossible position, orientation"),
    "one slice of another orientation": (
        on_slice(4, changed(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])), "differ in orientation or pixel spacing"),
    "one slice of another pixel spacing": (on_slice(4, changed(PixelSpacing=[0.9, 0.7])),
        "differ in orientation or pixel spacing"),
    "one slice of another size": (on_slice(4, other_rows), "differ in their number of rows or columns"),
    "one slice far aside": (on_slice(4, changed(ImagePositionPatient=[500, 7, -20])), "are not stacked along one axis"),
    "all slices at one place": (changed(ImagePositionPatient=[1, 2, 3]), "state the same position"),
    "constant": (lambda d, i: setattr(d, "PixelData", bytes(len(d.PixelData))), "Every voxel"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_SERIES)
def test_unusable_series_are_refused_with_one_sentence(tmp_path, case):
    edit, message = REFUSED_SERIES[case]
    write_dicom_series(make_ct(), tmp_path, edit=edit)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UnusableInput, match=message) as refusal:
        read_ct(tmp_path)
    assert "\n" not in str(refusal.value)
    assert sorted(tmp_path.iterdir()) == before


def test_fewer_than_eight_slices_are_refused(tmp_path):
    write_dicom_series(make_ct(shape=(7, 10, 12)), tmp_path)
    with pytest.raises(
        UnusableInput, match=r"too few axial slices \(7; at least 8 are needed\); choose the whole chest CT"
    ):
        read_ct(tmp_path)


def test_a_single_dicom_file_is_not_enough(tmp_path):
    path = write_dicom_series(make_ct(), tmp_path)[0]
    with pytest.raises(UnusableInput, match=r"too few axial slices \(1; at least 8"):
        read_ct(path)


@pytest.mark.parametrize(
    "attributes",
    [{"PixelData": bytes(10 * 12 * 2)}, {"RescaleIntercept": -1000}, {"ImagePositionPatient": [-9, 7, -30]}],
)
def test_different_slices_at_the_same_place_are_refused(tmp_path, attributes):
    paths = write_dicom_series(make_ct(), tmp_path)
    edit_file(Path(shutil.copy(paths[0], tmp_path / "other.dcm")), **attributes)
    with pytest.raises(
        UnusableInput, match=r"are different slices at the same position \(several phases in one series\?\)"
    ):
        read_ct(tmp_path)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("transfer_syntax", [*UNCOMPRESSED, *COMPRESSED], ids=lambda uid: uid.name)
def test_a_truncated_file_is_named(tmp_path, transfer_syntax, kept):
    path = write_dicom_series(make_ct(shape=(9, 40, 50)), tmp_path, transfer_syntax=transfer_syntax)[5]
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    with pytest.raises(UnusableInput, match=f"{path.name} {DAMAGED}"):
        read_ct(tmp_path)


def test_a_missing_decoder_is_named(tmp_path):
    write_dicom_series(make_ct(shape=(9, 40, 50)), tmp_path, transfer_syntax=JPEG2000Lossless)
    script = """
import sys
for package in ("PIL", "pylibjpeg", "openjpeg", "gdcm"):
    sys.modules[package] = None
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.io import read_ct
try:
    read_ct(sys.argv[1])
except MachineLimit as error:
    remedy = "is compressed; install the packages pylibjpeg and pylibjpeg-openjpeg to read it"
    sys.exit(0 if remedy in str(error) else str(error))
sys.exit("read")
"""
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True)


# Real CT


@pytest.mark.real_ct
@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, *COMPRESSED], ids=lambda uid: uid.name)
@pytest.mark.parametrize(
    "case",
    ["cip_ct64", "ts_example_3mm",
     *[pytest.param(name, marks=pytest.mark.slow)
       for name in ("4dlung_113", "ibsi1_phantom", "lidc_0001", "lidc_0003", "lung1_001", "nsclc_rg_r01_001")]],
)  # fmt: skip
def test_real_ct_come_back_from_dicom(real_ct_folder, tmp_path, case, transfer_syntax):
    ct = read_ct(real_ct_folder / case / "ct.nii.gz")
    write_dicom_series(ct, tmp_path, transfer_syntax=transfer_syntax)
    back, expected = read_ct(tmp_path), as_dicom_counts(ct)
    np.testing.assert_array_equal(back.array, expected.array)
    assert back.same_grid(expected, tolerance_mm=EXACT_MM)
    assert not back.resampled
