"""A phantom on disk."""

from __future__ import annotations

import numpy as np
from LungTumorSegLib.io.images import read_ct, read_volume
from LungTumorSegLib.phantom import write_phantom
from result_files import names


def test_a_written_phantom_reads_back(tmp_path, a_phantom_with_two_lesions):
    phantom = a_phantom_with_two_lesions
    write_phantom(phantom, tmp_path / "new" / "folder")
    assert names(tmp_path / "new" / "folder") == {"ct.nii.gz", "lungs.nii.gz", "tumor.nii.gz"}
    ct = read_ct(tmp_path / "new" / "folder" / "ct.nii.gz")
    assert ct.same_grid(phantom.ct)
    assert np.array_equal(ct.array, phantom.ct.array)
    for name, volume in (("tumor", phantom.tumor), ("lungs", phantom.lungs)):
        read = read_volume(tmp_path / "new" / "folder" / f"{name}.nii.gz")
        assert read.same_grid(volume)
        assert np.array_equal(read.array, volume.array)
