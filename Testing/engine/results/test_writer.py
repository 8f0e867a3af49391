"""The files of small made results, without a network."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from chests import make_chest
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.followup.comparison import compare
from LungTumorSegLib.followup.examination import read_examination
from LungTumorSegLib.followup.files import write_follow_up
from LungTumorSegLib.io.images import read_volume, write_volume
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.lesions import NO_LESION
from LungTumorSegLib.results.isolation_writer import write_isolation
from LungTumorSegLib.results.writer import write_measures, write_result
from made_results import SHAPE, a_result, an_isolation
from result_files import names
from two_lungs import write_examination

ALWAYS = {"segmentation.seg.nrrd", "lesions.csv", "summary.json", "probability.nrrd", "disagreement.nrrd"}


def test_the_summary_names_all_files_of_the_run(tmp_path):
    write_result(a_result(resampled=True), tmp_path, picture=False, surfaces=True)
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert names(tmp_path) == {*ALWAYS, "ct.nrrd", "Left_lung.vtp", "Right_lung.vtp", "Tumor_1.vtp"}
    assert set(summary["files"]) == names(tmp_path)


def test_the_second_run_into_a_folder_leaves_nothing_of_the_first(tmp_path):
    write_result(a_result(resampled=True), tmp_path, picture=False, surfaces=True)
    (tmp_path / "notes.txt").write_text("the user's")
    write_result(a_result(tumor=False), tmp_path, picture=False)
    assert names(tmp_path) == {*ALWAYS, "notes.txt"}


def test_a_ct_that_no_run_has_written_stays(tmp_path):
    write_result(a_result(), tmp_path, picture=False)
    (tmp_path / "ct.nrrd").write_text("the user's")
    write_result(a_result(), tmp_path, picture=False)
    assert (tmp_path / "ct.nrrd").read_text() == "the user's"


def test_the_ct_of_an_earlier_run_may_be_the_next_ones_input(tmp_path):
    write_result(a_result(resampled=True), tmp_path, picture=False)
    write_result(a_result(), tmp_path, picture=False, source=tmp_path / "ct.nrrd")
    assert read_volume(tmp_path / "ct.nrrd").shape == SHAPE


def test_measures_leave_the_segmentation_and_what_came_with_it(tmp_path):
    result = a_result()
    write_result(result, tmp_path, picture=False)
    before = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["files"]
    write_measures(result.ct, result.report, tmp_path)
    assert names(tmp_path) == ALWAYS
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["files"] == before


def test_without_a_lesion_there_are_lungs_a_table_without_rows_and_the_sentence(tmp_path):
    summary = write_result(a_result(tumor=False), tmp_path, picture=False)
    assert summary["message"] == NO_LESION
    assert [segment.name for segment in read_segmentation(tmp_path / "segmentation.seg.nrrd")] == [
        "Left lung",
        "Right lung",
    ]
    assert (tmp_path / "lesions.csv").read_text(encoding="utf-8").count("\n") == 1


def test_a_cancelled_run_leaves_the_results_of_the_run_before(tmp_path):
    write_result(a_result(), tmp_path, picture=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def cancel(progress):
        if progress.done == progress.total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_result(a_result(tumor=False, resampled=True), tmp_path, picture=False, on_progress=cancel)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def _measures(folder, on_progress):
    result = a_result()
    write_measures(result.ct, result.report, folder, on_progress=on_progress)


def _isolation(folder, on_progress):
    chest = make_chest(SHAPE)
    write_isolation(chest.ct, an_isolation(chest), folder, on_progress=on_progress)


def _comparison(folder, on_progress):
    exam = read_examination(write_examination(folder.parent / "exam", {"Tumor 1": ((66.0, 0.0, 0.0), 9.0)}))
    write_follow_up(compare(exam, exam), folder, report=False, on_progress=on_progress)


@pytest.mark.parametrize("write", [_measures, _isolation, _comparison])
def test_a_command_that_is_cancelled_while_it_writes_leaves_nothing(tmp_path, write):
    def cancelled(progress):
        raise Cancelled

    with pytest.raises(Cancelled):
        write(tmp_path / "out", cancelled)
    assert not (tmp_path / "out").exists()


def test_an_isolation_leaves_no_ct_of_an_earlier_one(tmp_path):
    chest = make_chest(SHAPE)
    write_volume(chest.ct, tmp_path / "input.nrrd")
    for resampled in (True, False):
        write_isolation(
            replace(chest.ct, resampled=resampled), an_isolation(chest), tmp_path, source=tmp_path / "input.nrrd"
        )
        assert (tmp_path / "ct.nrrd").exists() == resampled
    assert names(tmp_path) == {"input.nrrd", "isolation.seg.nrrd", "isolated.nrrd", "isolation.json"}
