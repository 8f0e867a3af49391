"""A file or folder is there completely or not at all."""

import pytest
from LungTumorSegLib.core.complete_files import complete_file, complete_folder


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


def test_a_folder_appears_when_its_last_file_is_written(tmp_path):
    with complete_folder(tmp_path / "new" / "case") as unfinished:
        (unfinished / "a").write_text("half")
        assert not (tmp_path / "new" / "case").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["case"]
    assert (tmp_path / "new" / "case" / "a").read_text() == "half"


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_is_replaced_only_where_that_was_asked_for(tmp_path, replace):
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "old").write_text("the user's")

    def write():
        with complete_folder(tmp_path / "case", replace=replace) as unfinished:
            (unfinished / "new").write_text("")

    if replace:
        write()
    else:
        with pytest.raises(OSError, match="case"):
            write()
    assert [path.name for path in tmp_path.iterdir()] == ["case"]
    assert [path.name for path in (tmp_path / "case").iterdir()] == ["new" if replace else "old"]
