"""Nothing but regular files is opened, and names that are no valid text are read, or refused as an output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.io.headers import check_image_file
from LungTumorSegLib.io.images import read_ct, read_volume, write_volume
from LungTumorSegLib.io.regular_files import open_regular
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.results.writable import check_output_folder
from volumes import make_ct

posix = pytest.mark.skipif(os.name != "posix", reason="pipes, devices and arbitrary bytes in names are those of POSIX")


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "ct.nii.gz")
    return folder / "ct.nii.gz"


def a_link(folder: Path, target: Path | str) -> Path:
    (folder / "link.nii.gz").symlink_to(target)
    return folder / "link.nii.gz"


NOT_FILES = {
    "a pipe": (a_pipe, "is a pipe; choose a regular file"),
    "a link to a pipe": (lambda d: a_link(d, a_pipe(d)), "is a pipe; choose a regular file"),
    "a device": (lambda d: Path("/dev/zero"), "is a device; choose a regular file"),
    "a link to a device": (lambda d: a_link(d, "/dev/zero"), "is a device; choose a regular file"),
    "a link to nothing": (lambda d: a_link(d, d / "gone"), "is a link to a file that does not exist"),
    "a link to itself": (lambda d: a_link(d, d / "link.nii.gz"), "is a link to a file that does not exist"),
    "nothing": (lambda d: d / "gone.nii.gz", "does not exist; check the path"),
    "a name too long for any file": (lambda d: d / ("x" * 300), "cannot be read .File name too long"),
}


@posix
@pytest.mark.timeout(30)
@pytest.mark.parametrize("case", NOT_FILES)
def test_what_is_no_file_is_refused_and_not_opened(tmp_path, case):
    make, message = NOT_FILES[case]
    path = make(tmp_path)
    for read in (read_ct, read_volume, check_image_file, read_segmentation):
        with pytest.raises(UnusableInput, match=message):
            read(path)


def test_a_folder_is_no_mask(tmp_path):
    with pytest.raises(UnusableInput, match="is a folder; choose a regular file"):
        read_volume(tmp_path)


def test_a_link_to_a_file_is_followed(tmp_path):
    write_volume(make_ct(), tmp_path / "ct.nii.gz")
    try:
        path = a_link(tmp_path, "ct.nii.gz")
    except OSError:
        pytest.skip("This system lets nobody make links.")
    np.testing.assert_array_equal(read_ct(path).array, make_ct().array)


def test_a_file_that_may_not_be_opened_is_named(tmp_path, monkeypatch):
    (tmp_path / "ct.nrrd").touch()

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(UnusableInput, match=r"ct\.nrrd cannot be read \(Permission denied\); check its permissions"):
        open_regular(tmp_path / "ct.nrrd")


@posix
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.nrrd", "ct.mha"])
def test_a_name_of_any_bytes_is_read(tmp_path, name):
    folder = tmp_path / os.fsdecode(b"M\xfcller")
    folder.mkdir()
    write_volume(make_ct(), tmp_path / name)
    (tmp_path / name).rename(folder / name)
    np.testing.assert_array_equal(read_ct(folder / name).array, make_ct().array)


@posix
def test_an_output_of_any_bytes_is_refused_in_a_sentence(tmp_path):
    folder = tmp_path / os.fsdecode(b"M\xfcller")
    with pytest.raises(UnusableInput, match="is not valid UTF-8; choose a folder, or rename it"):
        check_output_folder(folder)
    with pytest.raises(UnusableInput, match="is not valid UTF-8"):
        write_volume(make_ct(), folder / "ct.nrrd")


@posix
def test_the_command_says_it_in_a_line(tmp_path):
    write_volume(make_ct(), tmp_path / "ct.nrrd")
    output = os.fsencode(tmp_path) + b"/M\xfcller"
    command = [sys.executable, "-m", "LungTumorSegLib", "isolate", str(tmp_path / "ct.nrrd"), "-o", output]
    run = subprocess.run(command, capture_output=True, check=False)
    assert run.returncode == 2
    assert b"is not valid UTF-8; choose a folder, or rename it" in run.stderr.splitlines()[-1]
    assert b"Traceback" not in run.stderr
