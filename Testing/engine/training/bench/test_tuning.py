"""A search for settings at toy size: what it reads, that it resumes, and what it refuses."""

import csv
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.training import loop
from LungTumorSegLib.training.bench import tuning
from LungTumorSegLib.training.bench.tuning import run_tuning
from LungTumorSegLib.training.preparation import PreparedData
from training_cases import a_stored_case, toy_bench_base

RANGES = {"network.learning_rate": [0.0001, 0.01], "network.loss.bce_weight": [0.5, 4.0]}
PATIENTS = ("anna", "ben", "carl")

BENCH = {
    "baseline": "U-Net",
    "base": toy_bench_base(epoch_steps=1),
    "entries": [{"name": "U-Net"}],
    "tune": {"ranges": RANGES},
}


@pytest.fixture
def a_bench(tmp_path, monkeypatch):
    """Return a function that writes the configuration with changes."""
    cases = [a_stored_case(tmp_path / "cache" / name, name, seed=i) for i, name in enumerate(PATIENTS)]
    monkeypatch.setattr(tuning, "prepare_data", lambda *_, **__: PreparedData(cases, [], []))
    monkeypatch.setattr(loop, "RECALIBRATION_BATCHES", 1)

    def write(**changes):
        path = tmp_path / "bench.yaml"
        path.write_text(yaml.safe_dump({"output": str(tmp_path / "out"), **BENCH, **changes}))
        return path

    return write


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_killed_search_continues_in_its_trial_and_proposes_the_same(a_bench, tmp_path, monkeypatch):
    seen = []
    original = tuning.train_on
    monkeypatch.setattr(
        tuning,
        "train_on",
        lambda config, data, tell: (
            seen.append((config, {c.patient for c in data.training})) or original(config, data, tell)
        ),
    )

    def stop_in_the_second_trial(step):
        if step.stage == "benchmarking" and step.done >= 150:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_tuning(a_bench(), 2, stop_in_the_second_trial)
    assert len(seen) == 2
    tuned = run_tuning(a_bench(), 2)
    assert [config.output for config, _ in seen[1:]] == [str(tmp_path / "out/tuning/trial-2")] * 2
    assert seen[1] == seen[2]
    assert [int(row["trial"]) for row in rows(tuned.table)] in ([1, 2], [2, 1])
    assert tuned.settings.keys() == RANGES.keys()
    assert tuned.score == max(float(row["score"]) for row in rows(tuned.table))
    for config, patients in seen:
        assert len(patients) == 1  # one patient is reserved and one scores
        assert 0.0001 <= config.network.learning_rate <= 0.01
        assert 0.5 <= config.network.loss.bce_weight <= 4
    assert run_tuning(a_bench(), 2).trials == 2  # nothing left to do
    with pytest.raises(UnusableInput, match="a search with another configuration"):
        run_tuning(a_bench(tune={"ranges": {"network.learning_rate": [0.001, 0.01]}}), 2)


def test_a_search_that_ended_in_a_trial_continues_there_with_its_values(a_bench, monkeypatch):
    """Without training, so that it is quick; the test above trains."""
    seen = []

    def train(config, *_):
        seen.append(config)
        if len(seen) == 2:
            raise Cancelled
        return None, SimpleNamespace(score=lambda *_: SimpleNamespace(value=0.5))

    monkeypatch.setattr(tuning, "train_on", train)
    with pytest.raises(Cancelled):
        run_tuning(a_bench(), 2)
    assert run_tuning(a_bench(), 2).trials == 2
    assert [Path(config.output).name for config in seen] == ["trial-1", "trial-2", "trial-2"]
    assert seen[1] == seen[2]
    assert seen[0].network.learning_rate != seen[1].network.learning_rate


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tune": {}}, "names nothing to tune"),
        ({"tune": {"ranges": {"network.learning_rate": [0.1, 0.01]}}}, "low below high"),
        ({"tune": {"ranges": {"network.rate": [0.1, 1.0]}}}, "no setting 'rate'"),
        ({"tune": {"ranges": RANGES, "entry": "V-Net"}}, "no entry has that name"),
        ({"folds": 2}, "3 or more folds"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(a_bench, changes, message):
    with pytest.raises(UnusableInput, match=message):
        run_tuning(a_bench(**changes), 2)


def test_a_missing_optuna_is_named_with_its_extra(a_bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MachineLimit, match=r"lungtumorseg\[tune\]"):
        run_tuning(a_bench(), 1)
