"""NIfTI headers: each field on the way from index to place and from stored value to HU is used or refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import read_ct, read_volume, to_simpleitk, write_volume
from volumes import an_oblique_ct, make_ct, random_volumes

CODES, PIXDIM, QUATERNION, QOFFSET, SROW, UNITS, SCALING, OFFSET = 252, 76, 256, 268, 280, 123, 112, 108


def changed(path: Path, *changes: tuple[int, bytes]) -> Path:
    raw = bytearray(path.read_bytes())
    for offset, content in changes:
        raw[offset : offset + len(content)] = content
    path.write_bytes(raw)
    return path


def written(folder: Path, *changes: tuple[int, bytes], volume: Volume | None = None) -> Path:
    path = folder / "ct.nii"
    write_volume(volume or an_oblique_ct(), path)
    return changed(path, *changes)


def codes(qform: int, sform: int) -> tuple[int, bytes]:
    return CODES, struct.pack("<2h", qform, sform)


def as_nifti_2(path: Path, order: str = "<") -> Path:
    """Rewrite a little-endian NIfTI-1 file as NIfTI-2 of another byte order (int16 voxels)."""
    raw = path.read_bytes()
    header = bytearray(544)
    struct.pack_into(f"{order}i", header, 0, 540)
    header[4:12] = b"n+2\0\r\n\x1a\n"
    struct.pack_into(f"{order}2h", header, 12, *struct.unpack_from("<2h", raw, 70))
    struct.pack_into(f"{order}8q", header, 16, *struct.unpack_from("<8h", raw, 40))
    struct.pack_into(f"{order}8d", header, 104, *struct.unpack_from("<8f", raw, PIXDIM))
    struct.pack_into(f"{order}q2d", header, 168, 544, *struct.unpack_from("<2f", raw, SCALING))
    struct.pack_into(f"{order}2i", header, 344, *struct.unpack_from("<2h", raw, CODES))
    struct.pack_into(f"{order}6d12d", header, 352, *struct.unpack_from("<18f", raw, QUATERNION))
    struct.pack_into(f"{order}i", header, 500, raw[UNITS])
    path.write_bytes(bytes(header) + np.frombuffer(raw[352:], "<i2").astype(f"{order}i2").tobytes())
    return path


@pytest.mark.parametrize("stated", [(1, 0), (0, 1), (1, 1), (0, 2), (4, 0)])
@given(volume=random_volumes())
def test_qform_and_sform_lie_where_simpleitk_reads_them(tmp_path_factory, stated, volume):
    path = written(tmp_path_factory.mktemp("nifti"), codes(*stated), volume=volume)
    ours, image = read_volume(path), sitk.ReadImage(str(path))
    theirs = [image.TransformIndexToPhysicalPoint(index) for index in ((0, 0, 0), (7, 0, 0), (0, 7, 0), (0, 0, 7))]
    np.testing.assert_allclose(ours.index_to_lps([(0, 0, 0), (0, 0, 7), (0, 7, 0), (7, 0, 0)]), theirs, atol=1e-3)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct"])
def test_nifti_2_is_read_like_nifti_1(tmp_path, order, name):
    path = as_nifti_2(written(tmp_path), order)
    content = path.read_bytes()
    path.unlink()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    back = read_ct(tmp_path / name)
    np.testing.assert_array_equal(back.array, an_oblique_ct().array)
    assert back.same_grid(an_oblique_ct())


def test_a_big_endian_file_is_read(tmp_path):
    path = written(tmp_path)
    raw = path.read_bytes()
    header = bytearray(raw[:352])
    for layout, at in (
        ("i", 0),
        ("8h", 40),
        ("2h", 70),
        ("8f", PIXDIM),
        ("3f", OFFSET),
        ("2h", CODES),
        ("18f", QUATERNION),
    ):
        struct.pack_into(f">{layout}", header, at, *struct.unpack_from(f"<{layout}", raw, at))
    path.write_bytes(bytes(header) + np.frombuffer(raw[352:], "<i2").astype(">i2").tobytes())
    back = read_ct(path)
    np.testing.assert_array_equal(back.array, an_oblique_ct().array)
    assert back.same_grid(an_oblique_ct())


@pytest.mark.parametrize(("name", "packed"), [("ct.nii", True), ("ct.nii.gz", False), ("ct", True), ("ct.img", False)])
def test_the_content_tells_the_format_not_the_name(tmp_path, name, packed):
    content = written(tmp_path).read_bytes()
    (tmp_path / "ct.nii").unlink()
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    np.testing.assert_array_equal(read_ct(tmp_path / name).array, an_oblique_ct().array)


def test_a_file_is_read_though_another_of_the_same_stem_lies_beside_it(tmp_path):
    ct = make_ct()
    for name, shift in (("ct.nii", 0), ("ct.nii.gz", 1), ("ct.nrrd", 2), ("ct.mha", 3)):
        write_volume(ct.with_array(ct.array + np.int16(shift)), tmp_path / name)
    for name, shift in (("ct.nii", 0), ("ct.nii.gz", 1), ("ct.nrrd", 2), ("ct.mha", 3)):
        np.testing.assert_array_equal(read_ct(tmp_path / name).array, ct.array + shift)


@pytest.mark.parametrize(("unit", "per_mm"), [(1, 1e-3), (3, 1e3), (2, 1), (0, 1), (10, 1)])
def test_units_of_length_are_used(tmp_path, unit, per_mm):
    affine = np.array(an_oblique_ct().affine)
    affine[:3] *= per_mm
    image = to_simpleitk(Volume(an_oblique_ct().array, affine))
    sitk.WriteImage(image, tmp_path / "ct.nii")
    back = read_ct(changed(tmp_path / "ct.nii", (UNITS, bytes([unit]))))
    assert back.same_grid(an_oblique_ct(), tolerance_mm=2e-3)


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (2, 0), (1, 0), (0, 7), (np.nan, np.nan), (0.5, -10.25)])
@pytest.mark.parametrize("dtype", ["int16", "uint16", "float32"])
def test_scaling_is_used(tmp_path, slope, intercept, dtype):
    stored = np.abs(an_oblique_ct().array).astype(dtype)
    path = written(tmp_path, (SCALING, struct.pack("<2f", slope, intercept)), volume=an_oblique_ct().with_array(stored))
    back = read_volume(path).array
    real = stored if slope == 0 or np.isnan(slope) else stored * float(slope) + intercept
    np.testing.assert_array_equal(back, real)
    assert back.dtype.kind == ("f" if dtype == "float32" or slope == 0.5 else "iu"["u" in str(back.dtype)])


SFORM_OF_TWICE_THE_SIZE = struct.pack("<12f", -1.4, 0, 0, 11, 0, -1.6, 0, -7, 0, 0, 5, -30)
NAN = struct.pack("<f", np.nan)
CONTRADICTION = "states two different geometries"
TWO_SPACINGS = "states two different spacings"
IMPOSSIBLE = "states an impossible geometry"

REFUSED = {
    "pixdim alone changed to 1 mm": (
        [(PIXDIM + 4, struct.pack("<3f", 1, 1, 1))],
        f"{TWO_SPACINGS} .pixdim: 1 x 1 x 1 mm, sform: 0.7 x 0.8 x 2.5 mm"),
    "pixdim of half the sform's spacing, no qform": (
        [codes(0, 2), (PIXDIM + 4, struct.pack("<3f", 0.35, 0.4, 1.25))], f"{TWO_SPACINGS} .pixdim: "),
    "sform of twice the spacing, no qform": ([codes(0, 1), (SROW, SFORM_OF_TWICE_THE_SIZE)],
        f"{TWO_SPACINGS} .pixdim: "),
    "qform mirrored": ([(PIXDIM, struct.pack("<f", -1))], f"{CONTRADICTION} .qform and sform"),
    "qform moved": ([(QOFFSET, struct.pack("<f", 500))], f"{CONTRADICTION} .qform and sform disagree by up to .* mm"),
    "qform of not a number": ([(QUATERNION, NAN)], "states a quaternion that is not a rotation"),
    "quaternion longer than 1": ([(QUATERNION, struct.pack("<3f", 1, 1, 1))],
        "states a quaternion that is not a rotation"),
    "sform with NaN": ([(SROW, NAN)], f"{IMPOSSIBLE} .numbers that are not finite"),
    "sform of light years": ([codes(0, 1), (SROW, struct.pack("<f", 1e30))],
        f"{IMPOSSIBLE} .numbers that are not finite, or beyond"),
    "sform of zeros": ([codes(0, 1), (SROW, bytes(48))], f"{IMPOSSIBLE} .a voxel spacing of zero"),
    "no code": ([codes(0, 0)], "does not state its voxel spacing and axes"),
    "negative pixdim": ([(PIXDIM + 4, struct.pack("<f", -0.7))], "impossible spacing .pixdim -0.7 x 0.8 x 2.5"),
    "infinite pixdim": ([(PIXDIM + 4, struct.pack("<f", np.inf))], "not finite|two different"),
    "vox_offset NaN": ([(OFFSET, NAN)], "states that voxels begin at byte nan, which is impossible"),
    "vox_offset inside the header": ([(OFFSET, struct.pack("<f", 100))], "begin at byte 100, which"),
    "vox_offset of a terabyte": ([(OFFSET, struct.pack("<f", 1e12))], r"begin at byte 1e\+12, which"),
    "vox_offset between voxels' bytes": ([(OFFSET, struct.pack("<f", 352.5))], "begin at byte 352.5, which"),
    "unknown unit": ([(UNITS, b"\x07")], "unknown unit of length"),
    "infinite slope": ([(SCALING, struct.pack("<f", np.inf))], "impossible scaling of values"),
    "slope with NaN intercept": ([(SCALING, struct.pack("<2f", 1, np.nan))], "impossible scaling of values"),
    "complex values": ([(70, struct.pack("<2h", 32, 64))], "contains complex values"),
    "colors": ([(70, struct.pack("<2h", 128, 24))], "contains color values"),
    "unknown datatype": ([(70, struct.pack("<2h", 77, 16))], "value type that is not supported .NIfTI datatype 77"),
    "contradicting bits": ([(70, struct.pack("<2h", 4, 8))], "states 8 bits per value for datatype 4"),
    "no axes": ([(40, struct.pack("<h", 0))], "states 0 axes"),
    "nine axes": ([(40, struct.pack("<h", 9))], "states 9 axes"),
    "a negative size": ([(42, struct.pack("<h", -12))], "states a size of -12 x 10 x 9 voxels"),
    "a dimension bomb": ([(42, struct.pack("<3h", 32767, 32767, 32767))],
        "32767 x 32767 x 32767 voxels, more than any CT has"),
    "sizes larger than the file": ([(42, struct.pack("<3h", 500, 500, 500))],
        "is truncated .its header states 250000000 bytes"),
    "sizes smaller than the file": ([(42, struct.pack("<3h", 12, 10, 8))],
        "contains more than the 1920 bytes of voxels"),
    "a pair of files": ([(344, b"ni1\0")], "is the header of a NIfTI in two files"),
    "Analyze": ([(344, bytes(4))], "is an Analyze 7.5 file, or a NIfTI without its signature"),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("case", REFUSED)
def test_wrong_headers_are_refused_with_one_sentence(tmp_path, case, packed):
    changes, message = REFUSED[case]
    path = written(tmp_path, *changes)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    for read in (read_ct, read_volume):
        with pytest.raises(UnusableInput, match=message) as refusal:
            read(path)
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("magic", "message"), [(b"ni1\0", "in two files"), (bytes(4), "is an Analyze 7.5 file")])
def test_a_header_of_its_own_file_is_recognized_at_its_shortest_length(tmp_path, magic, message):
    path = changed(written(tmp_path), (344, magic))
    path.write_bytes(path.read_bytes()[:348])
    with pytest.raises(UnusableInput, match=message):
        read_ct(path)


def test_positions_that_differ_by_rounding_are_the_same(tmp_path):
    path = written(tmp_path)
    rows = np.array(struct.unpack_from("<12f", path.read_bytes(), SROW)).round(4)
    assert read_ct(changed(path, (SROW, struct.pack("<12f", *rows)))).same_grid(an_oblique_ct(), tolerance_mm=1e-2)


@given(content=st.binary(min_size=0, max_size=400))
def test_any_bytes_after_the_size_of_the_header_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "ct.nii"
    path.write_bytes(struct.pack("<i", 348) + content)
    with pytest.raises(UnusableInput):
        read_volume(path)
