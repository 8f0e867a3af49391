"""Which files of a folder are read, which are passed over, and what is said of those that look like slices."""

from __future__ import annotations

import bz2
import gzip
import os
import shutil
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_series import write_dicom_series
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.io import dicom_folder, dicom_reading
from LungTumorSegLib.io.dicom_start import is_dicom_file
from LungTumorSegLib.io.images import read_ct
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from volumes import make_ct

CT = make_ct(shape=(12, 10, 12))


def series(folder: Path, **options) -> list[Path]:
    return write_dicom_series(CT, folder, **options)


def raw_data_set(path: Path) -> bytes:
    """A file without preamble and group 2."""
    raw = path.read_bytes()
    return raw[144 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength :]


# Links and what is no file


def test_linked_folders_are_entered_once(tmp_path):
    paths = series(tmp_path / "ct")
    (tmp_path / "elsewhere").mkdir()
    for path in paths[-3:]:
        path.rename(tmp_path / "elsewhere" / path.name)
    (tmp_path / "ct" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "ct" / "again").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "ct", target_is_directory=True)
    (tmp_path / "ct" / "up").symlink_to(tmp_path, target_is_directory=True)
    ct = read_ct(tmp_path / "ct")
    np.testing.assert_array_equal(ct.array, CT.array)
    assert ct.warnings == ()


def test_links_to_nothing_and_pipes_are_passed_over(tmp_path):
    series(tmp_path)
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere.dcm")
    (tmp_path / "circle.dcm").symlink_to(tmp_path / "circle.dcm")
    (tmp_path / "null.dcm").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe.dcm")
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.array, CT.array)
    assert ct.warnings == ()
    assert not is_dicom_file(tmp_path / "pipe.dcm")


@pytest.mark.skipif(os.name == "nt", reason="Windows names are text")
def test_names_that_are_no_utf_8_are_read_and_shown(tmp_path):
    folder = tmp_path / os.fsdecode(b"M\xfcller")
    path = series(folder)[4]
    np.testing.assert_array_equal(read_ct(folder).array, CT.array)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UnusableInput, match=r"M\\udcfcller.0008\.dcm is a damaged"):
        read_ct(folder)


# What looks like a slice and cannot be read


@pytest.mark.parametrize("suffix", [".dcm", "", ".IMA", ".1.2"])
@pytest.mark.parametrize("kept", [0, 1, 100, 131])
def test_slices_that_are_empty_or_cut_off_are_counted(tmp_path, suffix, kept):
    paths = series(tmp_path, suffix=suffix)
    for path in (paths[0], paths[1], paths[-1]):
        path.write_bytes(path.read_bytes()[:kept])
    ct = read_ct(tmp_path)
    assert ct.shape[0] == 9
    reason = "truncated or not DICOM" if kept else "empty"
    assert ct.warnings[0].startswith(f"3 files that look like slices are {reason} (0001")


@pytest.mark.parametrize("suffix", [".dcm", "", ".IMA"])
@pytest.mark.parametrize(
    ("packed", "pack", "reason"),
    [
        (".gz", gzip.compress, "compressed and must be unpacked"),
        (".bz2", bz2.compress, "compressed and must be unpacked"),
        (".part", lambda content: content[:100], "incomplete, as its name says"),
        (".crdownload", lambda content: content[:0], "empty"),
    ],
)
def test_slices_that_are_packed_or_incomplete_are_counted_for_this_reason(tmp_path, suffix, packed, pack, reason):
    for path in series(tmp_path, suffix=suffix)[-3:]:
        path.with_name(path.name + packed).write_bytes(pack(path.read_bytes()))
        path.unlink()
    ct = read_ct(tmp_path)
    assert ct.shape[0] == 9
    assert ct.warnings[0].startswith(f"3 files that look like slices are {reason} (0001")


@pytest.mark.parametrize("packed", [".gz", ""])
def test_a_folder_of_compressed_slices_is_refused_for_this_reason(tmp_path, packed):
    for path in series(tmp_path):
        path.with_name(path.name + packed).write_bytes(gzip.compress(path.read_bytes()))
        if packed:
            path.unlink()
    with pytest.raises(UnusableInput, match=r"12 files .* are compressed and must be unpacked .*; unpack them first\."):
        read_ct(tmp_path)


def test_slices_marked_as_localizers_are_counted(tmp_path):
    for path in series(tmp_path)[-3:]:
        dataset = pydicom.dcmread(path)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.save_as(path)
    ct = read_ct(tmp_path)
    assert ct.shape[0] == 9
    assert "marked as localizers in ImageType (3); check that no slices are missing" in ct.warnings[0]


def test_a_slice_that_may_not_be_read_is_counted(tmp_path, monkeypatch):
    path = series(tmp_path)[0]
    start = dicom_folder.start_of

    def denied(each):
        if each == path:
            raise PermissionError(13, "Permission denied")
        return start(each)

    monkeypatch.setattr(dicom_folder, "start_of", denied)
    ct = read_ct(tmp_path)
    assert ct.shape[0] == 11
    assert f"1 file that looks like a slice is protected against reading ({path.name})" in ct.warnings[0]


def test_slices_that_all_may_not_be_read_are_no_reason_to_export_them_again(tmp_path, monkeypatch):
    def denied(each):
        raise PermissionError(13, "Permission denied")

    series(tmp_path)
    monkeypatch.setattr(dicom_folder, "start_of", denied)
    with pytest.raises(UnusableInput, match=r"12 files .* are protected against reading .*; check the permissions\.$"):
        read_ct(tmp_path)


@pytest.mark.parametrize("suffix", [".dcm", ""])
def test_what_does_not_look_like_a_slice_is_passed_over(tmp_path, suffix):
    series(tmp_path, suffix=suffix)
    (tmp_path / "README").write_text("Exported.")
    (tmp_path / "Thumbs.db").write_bytes(bytes(200))
    (tmp_path / "._0001.dcm").write_bytes(b"\0\5\x16\7" + bytes(200))
    (tmp_path / ".nomedia").touch()
    (tmp_path / "viewer").mkdir()
    (tmp_path / "viewer" / "LOCKFILE").touch()
    assert read_ct(tmp_path).warnings == ()


def test_a_folder_of_slices_that_all_are_empty_says_so(tmp_path):
    for path in series(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(UnusableInput, match=r"no readable CT slices: 12 files that look .*0001\.dcm.*and 9 more"):
        read_ct(tmp_path)


def test_slices_of_another_series_are_warned_of(tmp_path):
    paths = series(tmp_path)
    dataset = pydicom.dcmread(paths[0])
    dataset.SeriesInstanceUID = generate_uid()
    dataset.save_as(paths[0])
    assert read_ct(tmp_path).warnings == (
        "LungTumorSeg did not read the CT slices of other series (1); choose a series to read them.",
    )


# Files without preamble or group 2


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("preamble", [b"", bytes(128) + b"DICM"])
def test_bare_data_sets_are_read(tmp_path, transfer_syntax, preamble):
    paths = series(tmp_path, transfer_syntax=transfer_syntax)
    for path in paths:
        path.write_bytes(preamble + raw_data_set(path))
    np.testing.assert_array_equal(read_ct(tmp_path).array, CT.array)
    with pytest.raises(UnusableInput, match="too few axial slices"):
        read_ct(paths[0])


@pytest.mark.parametrize(
    "content", [b"", b"NRRD0005\n" * 40, bytes(352), b"\x5c\x01\0\0" + bytes(400), b"\x1f\x8b" * 100, b"text" * 99]
)
def test_other_files_are_no_dicom(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert not is_dicom_file(tmp_path / "file")


# True reasons


def test_a_private_transfer_syntax_is_named(tmp_path):
    for path in series(tmp_path, transfer_syntax=ImplicitVRLittleEndian):
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2\0", b"1.2.840.113619.5.2"))
    with pytest.raises(
        UnusableInput,
        match=r"\.dcm uses the private transfer syntax 1\.2\.840\.113619\.5\.2, which is not supported; export",
    ):
        read_ct(tmp_path)


def test_a_dicomdir_is_named(tmp_path):
    directory = pydicom.dcmread(series(tmp_path / "ct")[0])
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    del directory.Modality, directory.PixelData
    directory.save_as(tmp_path / "DICOMDIR")
    with pytest.raises(
        UnusableInput, match="DICOMDIR is a DICOMDIR, the index of a disc, and contains no images; choose the folder"
    ):
        read_ct(tmp_path / "DICOMDIR")
    shutil.rmtree(tmp_path / "ct")
    with pytest.raises(UnusableInput, match=r"contains no CT slices .found: 1 index .DICOMDIR.."):
        read_ct(tmp_path)


@pytest.mark.parametrize("frames", [None, 1])
def test_enhanced_ct_of_one_frame_per_file_is_named(tmp_path, frames):
    def enhance(dataset, _):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing
        if frames:
            dataset.NumberOfFrames = frames

    series(tmp_path, edit=enhance)
    with pytest.raises(
        UnusableInput, match=r"\.dcm is multi-frame DICOM .enhanced CT., which is not supported; convert it"
    ):
        read_ct(tmp_path)


def test_a_list_of_many_series_stays_short(tmp_path):
    for number in range(79):
        path = series(tmp_path / "part")[0]
        dataset = pydicom.dcmread(path)
        dataset.SeriesInstanceUID, dataset.SeriesDescription = f"1.2.{'9' * 50}.{number}", "Very long \x1b[31m" * 4
        dataset.save_as(tmp_path / f"{number}.dcm")
        break
    for number in range(79):
        dataset.SeriesInstanceUID = f"1.2.{'9' * 50}.{number}"
        dataset.save_as(tmp_path / f"{number}.dcm")
    shutil.rmtree(tmp_path / "part")
    with pytest.raises(
        UnusableInput, match=r"but none has 8 slices; choose a whole chest CT: .* 1 slice\);.* and 74 more"
    ) as refusal:
        read_ct(tmp_path)
    assert len(str(refusal.value)) < 1200
    assert str(refusal.value).isprintable()


def test_a_damaged_report_is_no_reason_to_refuse_the_ct(tmp_path):
    paths = series(tmp_path)
    report = pydicom.dcmread(paths[0])
    report.Modality, report.SOPClassUID = "SR", "1.2.840.10008.5.1.4.1.1.88.67"
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
    report.save_as(tmp_path / "report.dcm")
    raw = (tmp_path / "report.dcm").read_bytes()
    at = raw.index(b"\x08\0\x60\0CS") + 6
    (tmp_path / "report.dcm").write_bytes(raw[:at] + b"\xff\xff" + raw[at + 2 : at + 12])
    np.testing.assert_array_equal(read_ct(tmp_path).array, CT.array)


def test_a_deflated_file_unpacks_to_no_more_than_a_slice_takes(tmp_path, monkeypatch):
    path = series(tmp_path, transfer_syntax=DeflatedExplicitVRLittleEndian)[3]
    raw = path.read_bytes()
    monkeypatch.setattr(dicom_reading, "MOST_UNPACKED_BYTES", 1 << 20)
    begin = 144 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = zlib.decompress(raw[begin:], -zlib.MAX_WBITS)
    path.write_bytes(raw[:begin] + packer.compress(data + bytes(2 << 20)) + packer.flush())
    with pytest.raises(UnusableInput, match=f"{path.name} is a damaged or truncated"):
        read_ct(tmp_path)
