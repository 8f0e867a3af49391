"""Image files in and out: geometry, values, and the message of every file that is refused."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import AIR_HU, Volume
from LungTumorSegLib.io.images import read_ct, read_volume, to_simpleitk, write_volume
from simpleitk_images import from_simpleitk
from volumes import an_oblique_ct, make_ct, random_volumes

DOUBLE_MM = 1e-9
"""NRRD and MetaImage write geometry in double precision."""

SINGLE_MM = 1e-3
"""NIfTI's header is single precision; the contract's figure."""

FORMATS = [("ct.nrrd", DOUBLE_MM), ("ct.mha", DOUBLE_MM), ("ct.nii.gz", SINGLE_MM), ("ct.nii", SINGLE_MM)]

few_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(("name", "tolerance_mm"), FORMATS)
@given(volume=random_volumes())
@few_files
def test_written_volumes_come_back_in_place(tmp_path, name, tolerance_mm, volume):
    write_volume(volume, tmp_path / name)
    back = read_volume(tmp_path / name)
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.same_grid(volume, tolerance_mm=tolerance_mm)


@given(volume=random_volumes())
def test_simpleitk_agrees_where_each_voxel_lies(volume):
    image = to_simpleitk(volume)
    index = (3, 5, 7)
    np.testing.assert_allclose(
        image.TransformIndexToPhysicalPoint(index[::-1]), volume.index_to_lps(index), atol=DOUBLE_MM
    )
    assert image[index[::-1]] == volume.array[index]
    array, affine = from_simpleitk(image)
    np.testing.assert_allclose(affine, volume.affine, atol=DOUBLE_MM)
    np.testing.assert_array_equal(array, volume.array)


@pytest.mark.parametrize("array_type", ["bool", "uint8", "uint16", "int16", "float32"])
def test_masks_and_maps_keep_their_values(tmp_path, array_type):
    volume = an_oblique_ct().with_array((an_oblique_ct().array > -700).astype(array_type))
    write_volume(volume, tmp_path / "mask.nrrd")
    back = read_volume(tmp_path / "mask.nrrd")
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.array.dtype == ("uint8" if array_type == "bool" else array_type)


@pytest.mark.parametrize(("name", "tolerance_mm"), [*FORMATS, ("ct.mhd", DOUBLE_MM), ("ct.nhdr", DOUBLE_MM)])
def test_a_ct_is_read_from_every_format(tmp_path, name, tolerance_mm):
    ct = an_oblique_ct()
    sitk.WriteImage(to_simpleitk(ct), tmp_path / name)
    back = read_ct(tmp_path / name)
    np.testing.assert_array_equal(back.array, ct.array)
    assert back.array.dtype == np.int16
    assert back.same_grid(ct, tolerance_mm=tolerance_mm)
    assert not back.resampled
    assert back.warnings == ()


@pytest.mark.parametrize("space", ["right-anterior-superior", "RAS", "left-anterior-superior"])
def test_other_nrrd_spaces_are_turned_to_lps(tmp_path, space):
    ct = an_oblique_ct()
    sitk.WriteImage(to_simpleitk(ct), tmp_path / "lps.nrrd")
    flip = np.diag([1 if space.startswith("left") else -1, -1, 1])
    other = Volume(
        ct.array, np.block([[flip @ ct.affine[:3, :3], flip @ ct.affine[:3, 3:]], [np.array([[0, 0, 0, 1.0]])]])
    )
    sitk.WriteImage(to_simpleitk(other), tmp_path / "ct.nrrd", useCompression=False)
    raw = (tmp_path / "ct.nrrd").read_bytes()
    (tmp_path / "ct.nrrd").write_bytes(raw.replace(b"left-posterior-superior", space.encode(), 1))
    assert read_ct(tmp_path / "ct.nrrd").same_grid(ct, tolerance_mm=DOUBLE_MM)


@pytest.mark.parametrize("stored", [sitk.sitkFloat64, sitk.sitkFloat32, sitk.sitkInt32])
def test_whole_hu_of_any_type_become_int16(tmp_path, stored):
    ct = make_ct()
    sitk.WriteImage(sitk.Cast(to_simpleitk(ct), stored), tmp_path / "ct.nrrd")
    back = read_ct(tmp_path / "ct.nrrd")
    assert back.array.dtype == np.int16
    np.testing.assert_array_equal(back.array, ct.array)


def test_fractional_hu_stay_fractions(tmp_path):
    ct = make_ct()
    sitk.WriteImage(sitk.Cast(to_simpleitk(ct), sitk.sitkFloat64) + 0.25, tmp_path / "ct.mha")
    back = read_ct(tmp_path / "ct.mha")
    assert back.array.dtype == np.float32
    np.testing.assert_array_equal(back.array, ct.array + np.float32(0.25))


def test_values_beyond_int16_are_cut_not_wrapped(tmp_path):
    array = make_ct().array.astype(np.int32)
    array[4, 5, 6], array[4, 5, 7] = 70000, -70000
    back = read_ct(written(tmp_path, "ct.mha", array)).array
    assert (back[4, 5, 6], back[4, 5, 7]) == (32767, AIR_HU)


def test_nifti_slope_and_intercept_are_applied(tmp_path):
    ct = make_ct()
    write_volume(Volume(ct.array + np.int16(1024), ct.affine), tmp_path / "ct.nii")
    patch(tmp_path / "ct.nii", 112, struct.pack("<2f", 1, -1024))
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.nii").array, ct.array)


# Refused files. Each maker writes one file below the folder and returns its path.


def patch(path: Path, offset: int, content: bytes) -> Path:
    raw = bytearray(path.read_bytes())
    raw[offset : offset + len(content)] = content
    path.write_bytes(raw)
    return path


def shorten(path: Path, fraction: float) -> Path:
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * fraction)])
    return path


def written(folder: Path, name: str, array=None, spacing_xyz=(0.7, 0.8, 2.5), compress=True, **geometry) -> Path:
    """A file of ``array``, or of ``make_ct(**geometry)``."""
    image = to_simpleitk(make_ct(**geometry)) if array is None else sitk.GetImageFromArray(array, isVector=False)
    if array is not None:
        image.SetSpacing([*spacing_xyz, 1][: image.GetDimension()])
    sitk.WriteImage(image, folder / name, compress)
    return folder / name


def noise(shape=(9, 10, 12)) -> np.ndarray:
    """Values that do not compress, so that a cut hits voxels."""
    return np.random.default_rng(1).integers(-1000, 500, shape).astype(np.int16)


def damaged(folder: Path, name: str) -> Path:
    path = written(folder, name, noise((30, 40, 50)))
    return patch(path, path.stat().st_size * 2 // 3, b"\0" * 20)


def with_value(folder: Path, name: str, value: float) -> Path:
    array = make_ct().array.astype(np.float32)
    array[4, 5, 6] = value
    return written(folder, name, array)


def header_without(folder: Path, name: str, *fields: str) -> Path:
    path = written(folder, name, compress=False)
    header, end, voxels = path.read_bytes().partition(b"\n\n" if name.endswith("nrrd") else b"ElementDataFile")
    lines = [line for line in header.split(b"\n") if not line.startswith(tuple(field.encode() for field in fields))]
    path.write_bytes(b"\n".join(lines) + (b"" if name.endswith("nrrd") else b"\n") + end + voxels)
    return path


def header_alone(folder: Path) -> Path:
    path = written(folder, "ct.mhd", compress=False)
    path.with_suffix(".raw").unlink()
    return path


def in_space(folder: Path, space: str) -> Path:
    path = written(folder, "ct.nrrd")
    path.write_bytes(path.read_bytes().replace(b"left-posterior-superior", space.encode(), 1))
    return path


def rgb(folder: Path, name: str) -> Path:
    channel = sitk.GetImageFromArray(np.zeros((9, 10, 12), np.uint8))
    sitk.WriteImage(sitk.Compose(channel, channel, channel), folder / name)
    return folder / name


def text(folder: Path, name: str, content: str = "") -> Path:
    (folder / name).write_text(content)
    return folder / name


def nrrd_with_directions(folder: Path, directions: str) -> Path:
    path = folder / "ct.nrrd"
    header = "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 12 10 9\n"
    header += f"space directions: {directions}\n"
    path.write_bytes(f"{header}encoding: raw\nendian: little\n\n".encode() + noise().tobytes())
    return path


def scaled(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 9 * 10 * 12, dtype=np.float32).reshape(9, 10, 12)


SPACING = "impossible spacing"
NO_GEOMETRY = "does not state its voxel spacing and axes; export it again from its source with its geometry"
DAMAGED = "is damaged .its compressed data cannot be unpacked.; copy or export it again"
TRUNCATED = "is truncated .its header states 2160 bytes of voxels.*; copy or export it again"
NOT_HU = "is not a chest CT in HU"
NOT_NUMBERS = "NaN or infinite"
NO_FORMAT = "is not a DICOM, NIfTI .*convert it"

REFUSED = {
    "a path that does not exist": (lambda d: d / "gone.nii.gz", "does not exist; check the path"),
    "an empty folder": (lambda d: d, "contains no DICOM files; choose a DICOM folder"),
    "a folder with an archive": (lambda d: text(d, "scan.zip", "PK").parent,
        r"contains no DICOM files, but an archive \(scan\.zip\); unpack it first"),
    "a folder with two image files": (lambda d: (text(d, "b.nrrd"), text(d, "a.nii.gz").parent)[1],
        r"but image files \(a\.nii\.gz, b\.nrrd\); choose a single file instead of the folder"),
    "a text file": (lambda d: text(d, "ct.txt", "not an image"), NO_FORMAT),
    "a text file named NIfTI": (lambda d: text(d, "ct.nii.gz", "not an image"), NO_FORMAT),
    "an empty file": (lambda d: text(d, "ct.nrrd"), r"is empty .0 bytes.; copy or export it again"),
    "a photograph": (lambda d: written(d, "ct.png", np.zeros((10, 12), np.uint8)),
        "is a PNG picture; choose the CT or the segmentation itself"),
    "the pointer to a file": (
        lambda d: text(d, "ct.nii.gz", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"),
        "is a Git LFS pointer; download the file itself"),
    "a web page": (lambda d: text(d, "ct.nii.gz", "<!DOCTYPE html>\n<html>Log in</html>"),
        "is a web page that was saved instead of the image; download the image again"),
    "a stack in a format without geometry": (lambda d: written(d, "ct.tif", np.zeros((9, 10, 12), np.uint8)),
        NO_FORMAT),
    "a NIfTI cut in half": (lambda d: shorten(written(d, "ct.nii", noise()), 0.5), TRUNCATED),
    "a NIfTI that lacks one voxel": (lambda d: shorten(written(d, "ct.nii", noise()), 1 - 1 / 2512), TRUNCATED),
    "a compressed NIfTI cut in half": (lambda d: shorten(written(d, "ct.nii.gz", noise()), 0.5), TRUNCATED),
    "a compressed NIfTI without its checksum": (lambda d: shorten(written(d, "ct.nii.gz", noise()), 0.998), TRUNCATED),
    "a compressed NIfTI with wrong bytes": (lambda d: damaged(d, "ct.nii.gz"), DAMAGED),
    "an NRRD cut in half": (lambda d: shorten(written(d, "ct.nrrd", noise()), 0.6), TRUNCATED),
    "an NRRD with wrong bytes": (lambda d: damaged(d, "ct.nrrd"), DAMAGED),
    "an uncompressed NRRD with short data": (
        lambda d: shorten(nrrd_with_directions(d, "(0.7,0,0) (0,0.8,0) (0,0,2.5)"), 0.9), TRUNCATED),
    "a MetaImage cut in half": (lambda d: shorten(written(d, "ct.mha", noise()), 0.6), TRUNCATED),
    "a compressed MetaImage with wrong bytes": (lambda d: damaged(d, "ct.mha"), DAMAGED),
    "a MetaImage header without its data": (lambda d: header_alone(d),
        "ct.raw, which is missing; copy both files into one folder"),
    "a NIfTI with zero spacing": (lambda d: patch(written(d, "ct.nii"), 88, struct.pack("<f", 0)), SPACING),
    "a NIfTI with negative spacing": (lambda d: patch(written(d, "ct.nii"), 80, struct.pack("<f", -0.7)), SPACING),
    "a NIfTI with NaN spacing": (lambda d: patch(written(d, "ct.nii"), 84, struct.pack("<f", np.nan)), SPACING),
    "a NIfTI without orientation": (lambda d: patch(written(d, "ct.nii"), 252, struct.pack("<2h", 0, 0)), NO_GEOMETRY),
    "an NRRD without geometry": (lambda d: header_without(d, "ct.nrrd", "space"), NO_GEOMETRY),
    "an NRRD without space directions": (lambda d: header_without(d, "ct.nrrd", "space directions"), NO_GEOMETRY),
    "an NRRD of an unknown space": (lambda d: in_space(d, "scanner-xyz"), 'the space "scanner-xyz", which'),
    "an NRRD with a direction of length zero": (
        lambda d: nrrd_with_directions(d, "(0,0,0) (0,0.8,0) (0,0,2.5)"),
        "impossible geometry .a voxel spacing of zero.; export it again"),
    "an NRRD with sheared axes": (lambda d: nrrd_with_directions(d, "(0.7,0,0) (0.2,0.8,0) (0,0,2.5)"),
        "impossible geometry"),
    "a NIfTI with sheared axes": (
        lambda d: patch(patch(written(d, "ct.nii"), 252, struct.pack("<2h", 0, 1)), 280,
            struct.pack("<5f", -0.7, 0.3, 0, 0, 0)),
        "axes are not orthogonal"),
    "a MetaImage without spacing": (lambda d: header_without(d, "ct.mha", "ElementSpacing"), NO_GEOMETRY),
    "a MetaImage with zero spacing": (
        lambda d: text(d, "ct.mhd", re.sub("(?<=ElementSpacing = )[0-9.]+", "0", written(d, "ct.mhd").read_text())),
        SPACING),
    "spacing in meters": (lambda d: written(d, "ct.mha", noise(), (7e-4, 8e-4, 0.0025)),
        "0.0008 x 0.0007 mm, is impossible for a CT"),
    "spacing of 25 mm": (lambda d: written(d, "ct.nii", noise(), (0.7, 0.8, 25)),
        "x 0.7 mm, is impossible for a CT .0.1 to 20 mm."),
    "seven slices": (lambda d: written(d, "ct.nii.gz", shape=(7, 10, 12)),
        "too few axial slices .7; at least 8 are needed"),
    "seven axial slices stored sagittally": (
        lambda d: written(d, "ct.nii.gz", shape=(12, 10, 7), axes=np.eye(3)),
        "too few axial slices .7; at least 8 are needed"),
    "a single slice": (lambda d: written(d, "ct.mha", noise((1, 10, 12))), "not a 3D image"),
    "a single sagittal plane": (lambda d: written(d, "ct.mha", noise((9, 10, 1))),
        "not a 3D image .its size is 1 x 10 x 9"),
    "a 2D image": (lambda d: written(d, "ct.nii.gz", noise((10, 12))), "not a 3D image .its size is 12 x 10"),
    "a 4D image": (lambda d: written(d, "ct.nii.gz", noise((2, 9, 10, 12))),
        "is a 4D image of 2 phases; choose one with --phase, from 0 to 1"),
    "a 4D NRRD": (lambda d: written(d, "ct.nrrd", noise((2, 9, 10, 12))), "not a 3D image"),
    "a color image": (lambda d: rgb(d, "ct.mha"), "contains 3 values per voxel"),
    "a color NIfTI": (lambda d: rgb(d, "ct.nii.gz"), "contains 3 values per voxel"),
    "a constant image": (lambda d: written(d, "ct.nii.gz", np.full((9, 10, 12), -1000, np.int16)),
        "Every voxel .* has the value -1000"),
    "a NIfTI with NaN": (lambda d: with_value(d, "ct.nii.gz", np.nan), NOT_NUMBERS),
    "a NIfTI with infinity": (lambda d: with_value(d, "ct.nii", np.inf), NOT_NUMBERS),
    "an NRRD with NaN": (lambda d: with_value(d, "ct.nrrd", np.nan), NOT_NUMBERS),
    "an NRRD with infinity": (lambda d: with_value(d, "ct.nrrd", -np.inf), NOT_NUMBERS),
    "intensities of 0 to 1": (lambda d: written(d, "ct.nii.gz", scaled(0, 1)),
        r"from 0 to 1, as those of a segmentation, .* or a normalized image, and are not HU; choose the CT itself"),
    "intensities of 0 to 255": (lambda d: written(d, "ct.nrrd", scaled(0, 255).astype(np.uint8)),
        f"from 0 to 255, which {NOT_HU}"),
    "intensities of -1 to 1": (lambda d: written(d, "ct.mha", scaled(-1, 1)), NOT_HU),
    "stored values without the intercept": (lambda d: written(d, "ct.mha", scaled(0, 4095)), NOT_HU),
    "a body part without lung or air": (lambda d: written(d, "ct.nrrd", scaled(-200, 1500)), NOT_HU),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_files_are_refused_with_one_sentence(tmp_path, case):
    make, message = REFUSED[case]
    path = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UnusableInput, match=message) as refusal:
        read_ct(path)
    assert "\n" not in str(refusal.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_series_cannot_be_chosen_in_an_image_file(tmp_path):
    with pytest.raises(UnusableInput, match="omit --series"):
        read_ct(written(tmp_path, "ct.nii.gz"), series="1.2.3")


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path, "ct.nii.gz")

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("LungTumorSegLib.io.images.is_dicom_file", denied)
    with pytest.raises(UnusableInput, match=r"cannot be read \(Permission denied\); check its permissions"):
        read_ct(path)


@pytest.mark.parametrize("name", ["ct.mhd", "ct.png", "ct"])
def test_only_single_file_formats_with_geometry_are_written(tmp_path, name):
    with pytest.raises(ValueError, match="must end in one of"):
        write_volume(make_ct(), tmp_path / name)


def test_a_finished_file_replaces_the_old_one(tmp_path):
    write_volume(make_ct(), tmp_path / "ct.nrrd")
    write_volume(an_oblique_ct(), tmp_path / "ct.nrrd")
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nrrd"]
    assert read_volume(tmp_path / "ct.nrrd").same_grid(an_oblique_ct())


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz", "ct.nii", "ct.mha"])
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path, name):
    script = """
import resource, sys
import numpy as np
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.io.images import write_volume
noise = Volume(np.random.default_rng(0).integers(0, 9999, (20, 50, 60)).astype(np.int16), np.eye(4))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))  # as a full disk: no file grows beyond
try:
    write_volume(noise, sys.argv[1])
except MachineLimit as error:
    sys.exit(0 if "free some disk space" in str(error) else str(error))
sys.exit("written")
"""
    pytest.importorskip("resource")
    subprocess.run([sys.executable, "-c", script, tmp_path / name], check=True, stderr=subprocess.PIPE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real_ct
@pytest.mark.parametrize("case", ["cip_ct64", "ts_example_3mm"])
def test_real_nifti_come_back_from_nrrd(real_ct_folder, tmp_path, case):
    ct = read_ct(real_ct_folder / case / "ct.nii.gz")
    assert ct.array.dtype == np.int16
    write_volume(ct, tmp_path / "ct.nrrd")
    back = read_ct(tmp_path / "ct.nrrd")
    np.testing.assert_array_equal(back.array, ct.array)
    assert back.same_grid(ct, tolerance_mm=DOUBLE_MM)
