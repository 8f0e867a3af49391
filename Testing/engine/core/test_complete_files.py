"""A file or folder is there completely or not at all."""

import pytest
from LungTumorSegLib.core.complete_files import complete_file


def test_a_failed_writer_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "result.csv").write_text("old")

    def fail():
        with complete_file(tmp_path / "result.csv") as unfinished:
            unfinished.write_text("half")
            assert unfinished.suffix == ".csv"
            assert (tmp_path / "result.csv").read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["result.csv"]
    assert (tmp_path / "result.csv").read_text() == "old"
