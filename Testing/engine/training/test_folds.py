"""Folds of sources: who is left out, and that a training with folds evaluates each network on what it has not seen."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.events import Progress
from LungTumorSegLib.training import stages
from LungTumorSegLib.training.config import TrainingConfig, config_from_dict
from LungTumorSegLib.training.folds import check_folds, leave_out, source_of
from LungTumorSegLib.training.preparation import PreparedData

SOURCES = {"LIDC": ("anna", "ben")}


def a_case(patient, *, is_phantom=False):
    return SimpleNamespace(patient=patient, is_phantom=is_phantom)


def the_data():
    training = [a_case(name) for name in ("anna", "ben", "cleo", "dora")] + [a_case("phantom-1", is_phantom=True)]
    nodules = [SimpleNamespace(patient=name) for name in ("anna", "cleo", "emil")]
    return PreparedData(training, [a_case("phantom-2", is_phantom=True), a_case("ben")], nodules)


def test_a_patient_that_no_source_lists_is_a_source():
    assert [source_of(patient, SOURCES) for patient in ("anna", "cleo")] == ["LIDC", "cleo"]


@pytest.mark.parametrize(
    ("fold", "left_out", "held_out", "nodules"),
    [
        (["LIDC"], ["anna", "ben"], ["phantom-2"], ["cleo", "emil"]),
        (["cleo"], ["cleo"], ["phantom-2", "ben"], ["anna", "emil"]),
        (["anna"], [], ["phantom-2", "ben"], ["anna", "cleo", "emil"]),
    ],
)
def test_a_source_is_left_out_with_all_its_patients_and_their_nodules(fold, left_out, held_out, nodules):
    kept, tested = leave_out(the_data(), fold, SOURCES)
    assert [case.patient for case in tested] == left_out
    assert {case.patient for case in kept.training} == {"anna", "ben", "cleo", "dora", "phantom-1"} - set(left_out)
    assert [case.patient for case in kept.held_out] == held_out
    assert [each.patient for each in kept.nodules] == nodules


def test_unknown_sources_are_named():
    with pytest.raises(UnusableInput, match="folds names the source 'x', of which there is no case; the sources are a"):
        check_folds([["a"], ["x"]], {"a"}, "folds")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"folds": [["a"], ["a"]]}, "folds must name each source once"),
        ({"sources": {"s": ["p"], "t": ["p"]}}, "sources must name each patient once"),
    ],
)
def test_folds_that_contradict_themselves_are_refused(values, message):
    with pytest.raises(UnusableInput, match=message):
        config_from_dict({"output": "o", **values})


def test_each_fold_has_a_training_of_its_own_and_is_tested_on_its_sources(tmp_path, monkeypatch):
    trained, tested, percents = [], [], []

    def train_on(config, data, on_progress):
        trained.append((config.output, len(data.training)))
        for done in (0, 1, 2):
            on_progress(Progress("training network", done, 2))
        return None, None

    monkeypatch.setattr(stages, "check_stages", lambda config: None)
    monkeypatch.setattr(stages, "prepare_data", lambda *_, **__: the_data())
    monkeypatch.setattr(stages, "train_on", train_on)
    monkeypatch.setattr(stages, "export", lambda network, config, data: tmp_path / "model")
    monkeypatch.setattr(
        stages,
        "evaluate_held_out",
        lambda *each, output, **_: tested.append(([case.patient for case in each[1]], output)),
    )
    config = TrainingConfig(str(tmp_path / "run"), sources=SOURCES, folds=(("LIDC", "cleo"), ("dora",)))
    stages.run_training(config, lambda step: percents.append(round(100 * step.done / step.total)))
    assert percents == [0, 17, 33, 33, 50, 66, 67, 83, 100], "one wait for all three networks"
    folders = [tmp_path / "run/fold-1", tmp_path / "run/fold-2", tmp_path / "run"]
    assert trained == [(str(folder), count) for folder, count in zip(folders, (2, 4, 5), strict=True)]
    assert [folder for _, folder in tested] == folders
    assert [names for names, _ in tested] == [["anna", "ben", "cleo"], ["dora"], ["phantom-2", "ben"]]
    assert json.loads((folders[0] / "config.json").read_text())["folds"] == []
    with pytest.raises(UnusableInput, match="folds names the source 'x'"):
        stages.run_training(replace(config, folds=(("x",),)))
