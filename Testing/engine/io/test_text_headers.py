"""NRRD and MetaImage headers: each field on the way from index to place and from stored value to HU is used or
refused."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.texts import printable
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.headers import parse_header
from LungTumorSegLib.io.images import read_ct, read_stored_image, read_volume, to_simpleitk
from LungTumorSegLib.io.segmentations import read_segmentation
from simpleitk_images import from_simpleitk
from volumes import an_oblique_ct, make_ct

NRRD = {
    "type": "short", "dimension": "3", "space": "left-posterior-superior", "sizes": "12 10 9",
    "space directions": "(0.7,0,0) (0,0.8,0) (0,0,2.5)", "kinds": "domain domain domain", "endian": "little",
    "encoding": "raw",
    "space origin": "(-11,7,-30)",
}  # fmt: skip

META = {
    "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "-11 7 -30", "ElementSpacing": "0.7 0.8 2.5",
    "DimSize": "12 10 9",
    "ElementType": "MET_SHORT",
}  # fmt: skip

CT = make_ct(origin=(-11, 7, -30))
VOXELS = CT.array.tobytes()


def nrrd(path: Path, voxels: bytes = VOXELS, lines: str = "", **fields: str | None) -> Path:
    """An NRRD file of ``NRRD``, changed by ``fields`` (with _ for a space in names; None leaves one out)."""
    stated = NRRD | {name.replace("_", " "): value for name, value in fields.items()}
    header = "".join(f"{name}: {value}\n" for name, value in stated.items() if value is not None)
    path.write_bytes(f"NRRD0005\n{header}{lines}\n".encode() + voxels)
    return path


def meta(path: Path, voxels: bytes = VOXELS, lines: str = "", data: str = "LOCAL", **fields: str | None) -> Path:
    """A MetaImage file of ``META``, changed by ``fields``."""
    header = "".join(f"{name} = {value}\n" for name, value in (META | fields).items() if value is not None)
    path.write_bytes(f"{header}{lines}ElementDataFile = {data}\n".encode() + voxels)
    return path


TWICE = np.ascontiguousarray(CT.array * np.int16(2)).tobytes()
IN_CM = "(0.07,0,0) (0,0.08,0) (0,0,0.25)"

READ = {
    "NRRD": lambda d: nrrd(d / "a.nrrd"),
    "NRRD of another name": lambda d: nrrd(d / "a.nii.gz"),
    "NRRD with line ends of Windows": lambda d: windows(nrrd(d / "a.nrrd")),
    "NRRD, big endian": lambda d: nrrd(d / "a.nrrd", CT.array.astype(">i2").tobytes(), endian="big"),
    "NRRD, gzip": lambda d: nrrd(d / "a.nrrd", gzip.compress(VOXELS), encoding="gzip"),
    "NRRD, gzip in two parts": lambda d: nrrd(
        d / "a.nrrd", gzip.compress(VOXELS[:99]) + gzip.compress(VOXELS[99:]), encoding="gz"),
    "NRRD, gzip padded with zeros": lambda d: nrrd(d / "a.nrrd", gzip.compress(VOXELS) + bytes(99), encoding="gz"),
    "NRRD in centimeters": lambda d: nrrd(
        d / "a.nrrd", space_directions=IN_CM, space_origin="(-1.1,0.7,-3)", space_units='"cm" "cm" "cm"'),
    "NRRD in millimeters": lambda d: nrrd(d / "a.nrrd", space_units='"mm" "mm" "mm"', spacings="0.7 0.8 2.5"),
    "NRRD with the ends of its axes": lambda d: nrrd(
        d / "a.nrrd", axis_mins="0 0.4 nan", axis_maxs="8.4 7.6 nan"),
    "NRRD with spaces in its vectors": lambda d: nrrd(
        d / "a.nrrd", space_directions="( 0.7, 0,0) ( 0,0.8 ,0) (0 , 0, 2.5 )"),
    "NRRD with long pairs": lambda d: nrrd(d / "a.nrrd", lines="Segment0_Tags:=" + "a|" * 4000 + "\n"),
    "NRRD with a long field": lambda d: nrrd(d / "a.nrrd", content="a CT " * 1000),
    "NRRD, detached": lambda d: detached(d, lambda: nrrd(d / "a.nhdr", b"", data_file="voxels.raw")),
    "NRRD, detached after a foreign header": lambda d: detached(
        d, lambda: nrrd(d / "a.nhdr", b"", data_file="voxels.raw", byte_skip="-1"), b"header"),
    "NRRD, detached, bytes skipped": lambda d: detached(
        d, lambda: nrrd(d / "a.nhdr", b"", data_file="voxels.raw", byte_skip="6"), b"header"),
    "MetaImage": lambda d: meta(d / "a.mha"),
    "MetaImage of another name": lambda d: meta(d / "a.img"),
    "MetaImage, big endian": lambda d: meta(d / "a.mha", CT.array.astype(">i2").tobytes(),
        BinaryDataByteOrderMSB="True"),
    "MetaImage, packed": lambda d: meta(d / "a.mha", zlib.compress(VOXELS), CompressedData="True"),
    "MetaImage in centimeters": lambda d: meta(
        d / "a.mha", ElementSpacing="0.07 0.08 0.25", Offset="-1.1 0.7 -3", DistanceUnits="cm"),
    "MetaImage of a CT": lambda d: meta(d / "a.mha", Modality="MET_MOD_CT"),
    "MetaImage of an unknown modality": lambda d: meta(d / "a.mha", Modality="MET_MOD_UNKNOWN"),
    "MetaImage with the same size": lambda d: meta(d / "a.mha", ElementSize="0.7 0.8 2.5"),
    "NRRD in stated HU": lambda d: nrrd(d / "a.nrrd", sample_units='"HU"'),
    "MetaImage with a slope": lambda d: meta(d / "a.mha", TWICE, ElementToIntensityFunctionSlope="0.5"),
    "MetaImage with an offset": lambda d: meta(
        d / "a.mha", (CT.array + np.int16(1024)).tobytes(), ElementToIntensityFunctionOffset="-1024"),
    "MetaImage, detached": lambda d: detached(d, lambda: meta(d / "a.mhd", b"", data="voxels.raw")),
    "MetaImage, detached after a foreign header": lambda d: detached(
        d, lambda: meta(d / "a.mhd", b"", data="voxels.raw", HeaderSize="-1"), b"header"),
    "MetaImage whose origin has two names": lambda d: meta(d / "a.mha", Position="-11 7 -30"),
}  # fmt: skip


def windows(path: Path) -> Path:
    header, _, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(header.replace(b"\n", b"\r\n") + b"\r\n\r\n" + voxels)
    return path


def detached(folder: Path, write, before: bytes = b"") -> Path:
    (folder / "voxels.raw").write_bytes(before + VOXELS)
    return write()


@pytest.mark.parametrize("case", READ)
def test_the_same_ct_is_read_however_it_is_stated(tmp_path, case):
    back = read_ct(READ[case](tmp_path))
    np.testing.assert_array_equal(back.array, CT.array)
    assert back.array.dtype.isnative
    assert back.same_grid(CT, tolerance_mm=1e-9)
    assert back.warnings == ()


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda d: meta(d / "a.mha", ElementSize="1 1 1"), "ElementSpacing.*used, and voxels of 1 x 1 x 1"),
        (lambda d: nrrd(d / "a.nrrd", sample_units='"1/cm"'), 'states its values in "1/cm"'),
        (lambda d: meta(d / "a.mha", Modality="MET_MOD_MR"), r"states that it is no CT \(Modality MET_MOD_MR\)"),
    ],
)
def test_what_may_contradict_the_geometry_or_the_unit_is_warned_of(tmp_path, write, words):
    (warning,) = read_ct(write(tmp_path)).warnings
    assert re.search(words, warning)


NO_FIELD = "has a line that is not a field"
IMPOSSIBLE = "impossible geometry"
TRUNCATED = "is truncated"
NO_GEOMETRY = "does not state its voxel spacing and axes"

REFUSED = {
    "kinds in a line of 2100 characters": (lambda d: nrrd(d / "a.nrrd", kinds="domain " * 300),
        "states 300 kinds for 3 axes"),
    "a line of a megabyte": (lambda d: nrrd(d / "a.nrrd", sizes="9 " * 500_000), 'states "9 9 9 .*" as its 3 sizes'),
    "a header of 20 MB": (lambda d: nrrd(d / "a.nrrd", lines="#" * (1 << 24) + "\n"), "is longer than 16 MB"),
    "a header of 200000 lines": (lambda d: nrrd(d / "a.nrrd", lines="#\n" * 200_000), "or 131072 lines"),
    "directions of 10000 vectors": (lambda d: nrrd(d / "a.nrrd", space_directions="(1,0,0) " * 10_000),
        "directions of 3 axes"),
    "unclosed directions": (lambda d: nrrd(d / "a.nrrd", space_directions="((((((" * 500),
        "as the space directions of 3 axes"),
    "directions of words": (lambda d: nrrd(d / "a.nrrd", space_directions="(a,b,c) (0,1,0) (0,0,1)"),
        "as a space direction"),
    "directions of NaN": (lambda d: nrrd(d / "a.nrrd", space_directions="(nan,0,0) (0,1,0) (0,0,1)"),
        "as a space direction"),
    "an origin of NaN": (lambda d: nrrd(d / "a.nrrd", space_origin="(nan,0,0)"), "as its origin"),
    "a space without sides": (lambda d: nrrd(d / "a.nrrd", space="scanner-xyz"), 'the space "scanner-xyz", which'),
    "a negative spacing": (lambda d: meta(d / "a.mha", ElementSpacing="0.7 -0.8 2.5"),
        'impossible spacing .* "0.7 -0.8 2.5"'),
    "a shear": (lambda d: nrrd(d / "a.nrrd", space_directions="(0.7,0,0) (0.3,0.8,0) (0,0,2.5)"),
        "axes are not orthogonal"),
    "a dimension bomb": (lambda d: nrrd(d / "a.nrrd", sizes="99999 99999 99999"), "more than any CT has"),
    "a size beyond 64 bits": (lambda d: nrrd(d / "a.nrrd", sizes="12 10 99999999999999999999999"), "as its 3 sizes"),
    "a size of zero": (lambda d: nrrd(d / "a.nrrd", sizes="12 10 0"), 'states "12 10 0" as its 3 sizes'),
    "a negative size": (lambda d: nrrd(d / "a.nrrd", sizes="12 10 -9"), 'states "12 10 -9" as its 3 sizes'),
    "sizes of words": (lambda d: nrrd(d / "a.nrrd", sizes="a b c"), 'states "a b c" as its 3 sizes'),
    "no dimension": (lambda d: nrrd(d / "a.nrrd", dimension=None), 'states "" as its number of axes'),
    "space in meters per axis": (lambda d: nrrd(d / "a.nrrd", space_units='"m" "mm" "mm"'),
        "states space units that cannot be used"),
    "unknown units": (lambda d: nrrd(d / "a.nrrd", space_units='"ft" "ft" "ft"'), 'lengths in "ft"'),
    "units beside directions": (lambda d: nrrd(d / "a.nrrd", units='"cm" "cm" "cm"'),
        "states units that cannot be used"),
    "an axis in space that is called time": (lambda d: nrrd(d / "a.nrrd", kinds="domain domain time"),
        'states "time" as the kind of an axis that has a direction'),
    "spacings of two axes": (lambda d: nrrd(d / "a.nrrd", spacings="0.7 0.8"),
        'states "0.7 0.8" as the spacings of 3 axes'),
    "spacings that are no numbers": (lambda d: nrrd(d / "a.nrrd", spacings="a b c"),
        'states "a b c" as the spacings of 3 axes'),
    "one spacing that contradicts its direction": (lambda d: nrrd(d / "a.nrrd", spacings="0.7 nan 5"),
        "two different spacings .spacings: 0.7 x 5 mm"),
    "spacings that contradict the directions": (
        lambda d: nrrd(d / "a.nrrd", spacings="1 1 1"), "two different spacings .spacings: 1 x 1 x 1 mm, space dir"),
    "ends of an axis that contradict its direction": (lambda d: nrrd(
        d / "a.nrrd", axis_mins="0 nan nan", axis_maxs="12 nan nan"), "two different lengths of an axis"),
    "ends that are no numbers": (lambda d: nrrd(d / "a.nrrd", axis_mins="0 0", axis_maxs="12 8 20"),
        'states "0 0" as the axis mins of 3 axes'),
    "sizes stated twice": (lambda d: nrrd(d / "a.nrrd", lines="sizes: 12 10 8\n"), 'states "sizes" twice'),
    "quantized values": (lambda d: nrrd(d / "a.nrrd", lines="old min: -1024\nold max: 3071\n"),
        "its values were quantized"),
    "no byte order": (lambda d: nrrd(d / "a.nrrd", endian=None), "does not state the byte order"),
    "values of an unknown type": (lambda d: nrrd(d / "a.nrrd", type="block"),
        'states "block" as the type of its values'),
    "text": (lambda d: nrrd(d / "a.nrrd", encoding="ascii"), 'are encoded as "ascii", which is not supported'),
    "bzip2": (lambda d: nrrd(d / "a.nrrd", encoding="bzip2"), 'are encoded as "bzip2", which is not supported'),
    "a line that is not a field": (lambda d: nrrd(d / "a.nrrd", lines="what is this\n"), NO_FIELD),
    "a header without end": (lambda d: cut(nrrd(d / "a.nrrd"), 60), TRUNCATED),
    "more voxels than stated": (lambda d: nrrd(d / "a.nrrd", VOXELS + bytes(2)),
        "contains more than the 2160 bytes of voxels"),
    "fewer voxels than stated": (lambda d: nrrd(d / "a.nrrd", VOXELS[:-1]), "but it contains 2159"),
    "an empty gzip stream": (lambda d: nrrd(d / "a.nrrd", b"", encoding="gzip"), TRUNCATED),
    "a list of files": (lambda d: nrrd(d / "a.nhdr", b"", data_file="LIST\n1.raw"), "are in several files .LIST"),
    "a pattern of files": (lambda d: nrrd(d / "a.nhdr", b"", data_file="s%03d.raw 1 9 1"),
        r"are in several files .s%03d\.raw 1 9 1"),
    "a missing file of voxels": (lambda d: nrrd(d / "a.nhdr", b"", data_file="gone.raw"),
        r"gone\.raw, which is missing"),
    "a folder of voxels": (lambda d: nrrd(d / "a.nhdr", b"", data_file="."), "which is missing"),
    "a device of voxels": (lambda d: nrrd(d / "a.nhdr", b"", data_file="/dev/zero"), "zero, which is missing"),
    "several values per voxel": (
        lambda d: nrrd(d / "a.nrrd", VOXELS * 2, dimension="4", sizes="2 12 10 9", kinds="vector domain domain domain",
                       space_directions="none (0.7,0,0) (0,0.8,0) (0,0,2.5)"), "contains 2 values per voxel"),
    "two dimensions": (
        lambda d: nrrd(d / "a.nrrd", VOXELS[:240], dimension="2", sizes="12 10", kinds="domain domain", space=None),
        "is not a 3D image"),
    "Meta: a list of files": (lambda d: meta(d / "a.mhd", b"1.raw\n", data="LIST"), "are in several files .LIST"),
    "Meta: a pattern of files": (lambda d: meta(d / "a.mhd", b"", data="s%03d.raw 1 9 1"), "are in several files"),
    "Meta: more voxels than stated": (lambda d: meta(d / "a.mha", VOXELS + bytes(100)),
        "contains more than the 2160 bytes of voxels"),
    "Meta: more detached voxels than stated": (
        lambda d: detached(d, lambda: meta(d / "a.mhd", b"", data="voxels.raw"), b"header"),
        "contains more than the 2160 bytes"),
    "Meta: fewer voxels than stated": (lambda d: meta(d / "a.mha", VOXELS[:-1]), "but it contains 2159"),
    "Meta: spacing of words": (lambda d: meta(d / "a.mha", ElementSpacing="a b c"), "impossible spacing"),
    "Meta: spacing of zero": (lambda d: meta(d / "a.mha", ElementSpacing="1 1 0"), "impossible spacing"),
    "Meta: spacing of NaN": (lambda d: meta(d / "a.mha", ElementSpacing="1 nan 1"), "impossible spacing"),
    "Meta: two numbers of spacing": (lambda d: meta(d / "a.mha", ElementSpacing="1 1"), "impossible spacing"),
    "Meta: no spacing": (lambda d: meta(d / "a.mha", ElementSpacing=None), NO_GEOMETRY),
    "Meta: unknown units": (lambda d: meta(d / "a.mha", DistanceUnits="inch"), 'lengths in "inch"'),
    "Meta: two origins": (lambda d: meta(d / "a.mha", Position="0 0 0"), 'states two different values of "Offset"'),
    "Meta: two byte orders": (lambda d: meta(d / "a.mha", ElementByteOrderMSB="True"), "two different values"),
    "Meta: a slope of zero": (lambda d: meta(d / "a.mha", ElementToIntensityFunctionSlope="0"),
        "impossible scaling of values"),
    "Meta: a slope of NaN": (lambda d: meta(d / "a.mha", ElementToIntensityFunctionSlope="nan"),
        "impossible scaling of values"),
    "Meta: an offset without the rescaling": (lambda d: meta(d / "a.mha", ElementToIntensityFunctionOffset="a"),
        "impossible scaling"),
    "Meta: stretched directions": (lambda d: meta(d / "a.mha", TransformMatrix="2 0 0 0 1 0 0 0 1"), "not of length 1"),
    "Meta: sheared directions": (lambda d: meta(d / "a.mha", TransformMatrix="1 0 0 0.6 0.8 0 0 0 1"),
        "axes are not orthogonal"),
    "Meta: a matrix of words": (lambda d: meta(d / "a.mha", TransformMatrix="a"), IMPOSSIBLE),
    "Meta: a dimension bomb": (lambda d: meta(d / "a.mha", DimSize="99999 99999 99999"), "more than any CT has"),
    "Meta: no sizes": (lambda d: meta(d / "a.mha", DimSize=None), "does not state its number of axes, sizes"),
    "Meta: two dimensions": (lambda d: meta(d / "a.mha", NDims="2", DimSize="12 90"), "is not a 3D image"),
    "Meta: text": (lambda d: meta(d / "a.mha", BinaryData="False"), "are stored as text, which is not supported"),
    "Meta: an unknown type": (lambda d: meta(d / "a.mha", ElementType="MET_OTHER"), 'states "MET_OTHER" as the type'),
    "Meta: a tube": (lambda d: meta(d / "a.mha", ObjectType="Tube"), 'does not describe an image but "Tube"'),
    "Meta: a header without end": (lambda d: cut(meta(d / "a.mha"), 100), TRUNCATED),
    "Meta: an unpacked header of packed data": (lambda d: meta(d / "a.mha", CompressedData="True"), "is damaged"),
}  # fmt: skip


def cut(path: Path, count: int) -> Path:
    path.write_bytes(path.read_bytes()[:count])
    return path


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_headers_are_refused_with_one_sentence(tmp_path, case):
    write, message = REFUSED[case]
    path = write(tmp_path)
    for read in (read_ct, read_volume):
        with pytest.raises(UnusableInput, match=message) as refusal:
            read(path)
        assert str(path) in str(refusal.value)
        assert printable(str(refusal.value)) == str(refusal.value)
        assert len(str(refusal.value)) < 300 + len(str(path))


def test_a_missing_origin_is_warned_of(tmp_path):
    ct = read_ct(nrrd(tmp_path / "a.nrrd", space_origin=None))
    assert ct.warnings == ("The image does not state its origin. Positions are relative to its first voxel.",)
    np.testing.assert_array_equal(ct.origin, 0)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda p: meta(p, Offset=None), "does not state its origin"),
        (lambda p: meta(p, TransformMatrix=None), "does not state its axes"),
        (lambda p: nrrd(p, space_origin=None), "does not state its origin"),
        (lambda p: nrrd(p, space_origin="(0,0,0)", space_directions="(1,0,0) (0,1,0) (0,0,1)"), "exactly 1 x 1 x 1"),
        (lambda p: meta(p, Offset="0 0 0", ElementSpacing="1 1 1"), "exactly 1 x 1 x 1"),
    ],
)  # fmt: skip
def test_a_geometry_that_was_not_stated_is_warned_of_in_a_ct_and_in_a_mask(tmp_path, write, words):
    path = write(tmp_path / "a")
    assert any(words in each for each in read_ct(path).warnings)
    assert any(words in each for each in read_stored_image(path).warnings)


def test_a_mask_without_a_stated_geometry_says_so_with_its_segments(tmp_path):
    label_map = np.zeros(CT.shape, np.int16)
    label_map[3:5, 4:6, 5:9] = 1
    stated = meta(tmp_path / "a.mha", label_map.tobytes(), Offset="0 0 0")
    silent = meta(tmp_path / "b.mha", label_map.tobytes(), Offset=None)
    assert [each.warnings for each in read_segmentation(stated)] == [()]
    (segment,) = read_segmentation(silent)
    assert "may lie elsewhere. The image does not state its origin (Offset)." in segment.warnings[0]


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
def test_every_type_is_read_as_simpleitk_reads_it(tmp_path, suffix, dtype):
    rng = np.random.default_rng(5)
    array = rng.integers(0, 100, (3, 4, 5)).astype(dtype)
    sitk.WriteImage(to_simpleitk(Volume(array, an_oblique_ct().affine)), tmp_path / f"a.{suffix}", True)
    back = read_volume(tmp_path / f"a.{suffix}")
    theirs, affine = from_simpleitk(sitk.ReadImage(tmp_path / f"a.{suffix}"))
    np.testing.assert_array_equal(back.array, theirs)
    np.testing.assert_allclose(back.affine, affine, atol=1e-12)
    assert back.array.dtype == ("float32" if dtype == "float64" else dtype)


@pytest.mark.parametrize(("position", "kind"), [(0, "list"), (0, "vector"), (3, "list"), (2, "list")])
def test_layers_come_last_wherever_the_file_has_them(tmp_path, position, kind):
    layers = np.random.default_rng(6).integers(0, 9, (9, 10, 12, 2)).astype(np.int16)
    sizes, kinds, steps = ["12", "10", "9"], ["domain"] * 3, NRRD["space directions"].split()
    for words, word in ((sizes, "2"), (kinds, kind), (steps, "none")):
        words.insert(position, word)
    stored = np.moveaxis(layers, 3, 3 - position)
    fields = {"sizes": " ".join(sizes), "kinds": " ".join(kinds), "space_directions": " ".join(steps), "dimension": "4"}
    path = nrrd(tmp_path / "a.nrrd", np.ascontiguousarray(stored).tobytes(), lines="Segment0_ID:=a\\nb\n", **fields)
    image = read_stored_image(path, allow_layers=True)
    np.testing.assert_array_equal(image.array, layers)
    assert image.metadata["Segment0_ID"] == "a\nb"
    np.testing.assert_allclose(image.affine, CT.affine, atol=1e-12)
    assert parse_header(path).components == 2
