"""DICOM files that would keep a parser busy without end."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_series import write_dicom_series
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.io.images import read_ct
from volumes import make_ct


def padded(folder, count: int) -> None:
    for path in write_dicom_series(make_ct(), folder)[:2]:
        path.write_bytes(path.read_bytes() + bytes(count))


@pytest.mark.timeout(60)
def test_a_slice_followed_by_megabytes_of_zeros_is_refused(tmp_path):
    padded(tmp_path, 20_000_000)
    with pytest.raises(UnusableInput, match=r"\.dcm is a damaged or truncated DICOM file"):
        read_ct(tmp_path)


def test_a_slice_padded_to_a_block_is_read(tmp_path):
    padded(tmp_path, 2048)
    np.testing.assert_array_equal(read_ct(tmp_path).array, make_ct().array)
