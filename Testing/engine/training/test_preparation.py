"""From a configuration to prepared cases: the cache, who is trained on, and no leak."""

import json
import os
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.core.events import Cancelled, ignore_progress
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.training import preparation
from LungTumorSegLib.training.config import GridConfig
from LungTumorSegLib.training.data_config import (
    CaseConfig,
    DataConfig,
    NoduleConfig,
    PhantomConfig,
    SourceConfig,
    SplitConfig,
)
from LungTumorSegLib.training.phantoms import KINDS
from LungTumorSegLib.training.preparation import assign_parts, prepare_data
from training_cases import a_chest_ct, a_stored_case, ellipsoid
from volumes import affine_of

GRID = GridConfig(spacing_mm=(6.0, 5.0, 5.5))


@pytest.fixture(scope="module")
def a_data_set(tmp_path_factory):
    """Image and mask folders of two patients."""
    folder = tmp_path_factory.mktemp("set")
    ct, label = a_chest_ct()
    for kind, volume in (("images", ct), ("masks", label)):
        (folder / kind).mkdir()
        for name in ("anna", "ben"):
            write_volume(volume, folder / kind / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Nodule crops of anna and carl."""
    folder = tmp_path_factory.mktemp("crops")
    inside = ellipsoid((10, 10, 10), (7, 7, 7), (11, 21, 21), (2, 1, 1))
    affine = affine_of(spacing=(2, 1, 1))
    for name in ("anna_1", "carl_1", "carl_2"):
        for kind, values in (("image", np.where(inside, 40, -850).astype(np.int16)), ("mask", inside.astype(np.uint8))):
            (folder / kind).mkdir(exist_ok=True)
            write_volume(Volume(values, affine), folder / kind / f"{name}.nii.gz")
    return folder


def a_source(folder):
    return SourceConfig(str(folder), "folders")


def split_file(path, **parts):
    path.write_text(json.dumps({"schema_version": 1, **parts}))
    return SplitConfig(str(path))


def test_cases_are_prepared_once_and_found_again(a_data_set, tmp_path, monkeypatch):
    data = DataConfig(cache=str(tmp_path / "cache"), sources=(a_source(a_data_set),))
    first = prepare_data(data, GRID, seed=1, workers=1, on_progress=ignore_progress)
    assert [case.patient for case in first.training] == ["anna", "ben"]
    assert first.training[0].lesion_names == ["lesion_1", "lesion_2"]
    assert first.held_out == []

    def must_not_run(*_, **__):
        raise AssertionError("prepared again")

    monkeypatch.setattr(ProcessPoolExecutor, "submit", must_not_run)
    again = prepare_data(data, GRID, seed=1, workers=1, on_progress=ignore_progress)
    assert [case.folder for case in again.training] == [case.folder for case in first.training]


def test_another_spacing_or_mask_is_another_case(a_data_set, tmp_path):
    case = CaseConfig(ct="a/../b.nii.gz", patient="x / y")
    data = DataConfig(cache=str(tmp_path), cases=(case,))
    (one,) = preparation.jobs_of_cases([case], data, GRID)
    (other_grid,) = preparation.jobs_of_cases([case], data, GridConfig(spacing_mm=(6.0, 5.0, 5.0)))
    (other_mask,) = preparation.jobs_of_cases(
        [CaseConfig(ct="a/../b.nii.gz", patient="x / y", lesions=("m",))], data, GRID
    )
    assert len({one.folder, other_grid.folder, other_mask.folder}) == 3
    assert one.folder.parent == tmp_path  # whatever the patient's name


def test_an_unusable_case_is_named_and_the_rest_is_not_waited_for(a_data_set, tmp_path):
    cases = (CaseConfig(ct=str(tmp_path / "nowhere.nii.gz"), patient="x"),)
    with pytest.raises(UnusableInput, match=r"nowhere\.nii\.gz does not exist"):
        prepare_data(
            DataConfig(cache=str(tmp_path / "cache"), cases=cases), GRID, seed=1, workers=1, on_progress=ignore_progress
        )


def test_preparation_that_is_cancelled_does_not_wait_for_the_cases_in_work(a_data_set, tmp_path, monkeypatch):
    def cancel(_):
        raise Cancelled

    monkeypatch.setattr(preparation, "prepare_one", prepare_ben_slowly)
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        prepare_data(
            DataConfig(cache=str(tmp_path / "cache"), sources=(a_source(a_data_set),)),
            GRID,
            seed=1,
            workers=2,
            on_progress=cancel,
        )
    assert time.monotonic() - begin < A_LONG_CASE / 2


A_LONG_CASE = 60
"""Time that the case of ben takes, seconds."""


def prepare_ben_slowly(job):
    if "ben" in job.folder.name:
        time.sleep(A_LONG_CASE)


def test_nothing_to_train_on_is_an_error(tmp_path):
    with pytest.raises(UnusableInput, match="no case to train on"):
        prepare_data(
            DataConfig(cache=str(tmp_path), phantoms=PhantomConfig(held_out=2)),
            GRID,
            seed=1,
            workers=1,
            on_progress=ignore_progress,
        )


def test_without_a_split_all_are_trained_on(a_data_set, crops):
    parts = assign_parts(DataConfig(sources=(a_source(a_data_set),), nodules=NoduleConfig(str(crops))), 1)
    assert ([case.patient for case in parts.training], parts.validation, len(parts.nodules)) == (["anna", "ben"], [], 3)


def test_a_split_keeps_cases_and_nodules_of_a_patient_together(a_data_set, crops, tmp_path):
    split = split_file(tmp_path / "s.json", training=["ben", "carl"], validation=["anna"])
    parts = assign_parts(DataConfig(sources=(a_source(a_data_set),), nodules=NoduleConfig(str(crops)), split=split), 1)
    assert [case.patient for case in parts.training] == ["ben"]
    assert [case.patient for case in parts.validation] == ["anna"]
    assert [nodule.patient for nodule in parts.nodules] == [
        "carl",
        "carl",
    ]  # anna's nodule would leak into the training


def test_test_patients_are_neither_trained_on_nor_looked_at(a_data_set, crops, tmp_path):
    split = split_file(tmp_path / "s.json", training=["anna"], test=["ben", "carl"])
    parts = assign_parts(DataConfig(sources=(a_source(a_data_set),), nodules=NoduleConfig(str(crops)), split=split), 1)
    assert {case.patient for case in (*parts.training, *parts.validation)} == {"anna"}
    assert {nodule.patient for nodule in parts.nodules} == {"anna"}


def test_a_leak_between_sets_is_an_error(a_data_set, crops, tmp_path):
    """The crops call ben carl; one is trained on, the other is kept for the test."""
    file = split_file(tmp_path / "s.json", training=["anna", "carl"], test=["ben"]).file
    data = DataConfig(sources=(a_source(a_data_set),), nodules=NoduleConfig(str(crops)))
    assign_parts(DataConfig(**{**vars(data), "split": SplitConfig(file)}), 1)
    known = SplitConfig(file, same_patients=(("ben", "carl"),))
    with pytest.raises(UnusableInput, match=r"leaks: 'carl' \(training\) and 'ben' \(test\) are one patient"):
        assign_parts(DataConfig(**{**vars(data), "split": known}), 1)


def test_a_missing_split_is_drawn_written_and_kept(a_data_set, crops, tmp_path):
    split = SplitConfig(str(tmp_path / "s.json"), validation_share=0.34, test_share=0.34)
    data = DataConfig(sources=(a_source(a_data_set),), nodules=NoduleConfig(str(crops)), split=split)
    assign_parts(data, 1)
    written = (tmp_path / "s.json").read_text()
    parts = json.loads(written)
    assert sorted([*parts["training"], *parts["validation"], *parts["test"]]) == ["anna", "ben", "carl"]
    assign_parts(data, 2)  # another seed changes nothing any more
    assert (tmp_path / "s.json").read_text() == written


def test_a_patient_that_the_split_does_not_know_is_an_error(a_data_set, tmp_path):
    split = split_file(tmp_path / "s.json", training=["anna"])
    with pytest.raises(UnusableInput, match="'ben' is in no part"):
        assign_parts(DataConfig(sources=(a_source(a_data_set),), split=split), 1)


def test_phantoms_are_made_from_their_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "load_case", lambda folder: folder)
    for seed in (5, 6, 9):
        for held_out in (False, True):
            job = next(
                job
                for job in preparation.jobs_of_phantoms(
                    DataConfig(cache=str(tmp_path), phantoms=PhantomConfig(1, seed, 1, seed)), GRID, held_out=held_out
                )
            )
            a_stored_case(job.folder, f"phantom-{seed}", is_phantom=True)
    data = DataConfig(
        cache=str(tmp_path), phantoms=PhantomConfig(count=2, first_seed=5, held_out=1, first_held_out_seed=9)
    )
    prepared = prepare_data(data, GRID, seed=1, workers=1, on_progress=ignore_progress)
    assert [folder.name.split("-")[1] for folder in prepared.training] == ["5", "6"]
    assert [folder.name.split("-")[1] for folder in prepared.held_out] == ["9"]


def test_some_training_phantoms_are_tumor_free_and_all_are_coarse():
    options = [KINDS["plain"].options(seed) for seed in range(200)]
    assert 15 < sum(option.lesions == () for option in options) < 45  # 15 %
    assert all(2.5 <= option.spacing_mm[0] <= 4.0 and 1.3 <= option.spacing_mm[1] <= 1.8 for option in options)
    assert KINDS["plain"].options(3) == KINDS["plain"].options(3)


def test_a_process_that_the_system_ended_is_a_limit_of_the_machine(a_data_set, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "prepare_one", end_the_process)
    with pytest.raises(MachineLimit, match="because memory ran out"):
        prepare_data(
            DataConfig(cache=str(tmp_path / "cache"), sources=(a_source(a_data_set),)),
            GRID,
            seed=1,
            workers=1,
            on_progress=ignore_progress,
        )


def end_the_process(_):
    os._exit(9)
