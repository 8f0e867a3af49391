"""The training log survives kills and resumed runs."""

import csv
import sys

import pytest
from LungTumorSegLib.training.log import TrainingLog


@pytest.fixture
def log(tmp_path):
    return TrainingLog(tmp_path / "run/log.csv")


def rows(tmp_path):
    with (tmp_path / "run/log.csv").open(newline="") as file:
        return [(row["stage"], int(row["step"]), row["loss"]) for row in csv.DictReader(file)]


def test_rows_are_there_at_once(log, tmp_path):
    log.resume("network", 0)
    log.write(stage="network", step=20, loss=0.123456789)
    assert rows(tmp_path) == [("network", 20, "0.12346")]


def test_a_resumed_run_drops_what_it_repeats(log, tmp_path):
    log.resume("extractor", 0)
    log.write(stage="extractor", step=40, loss=1.0)
    log.resume("network", 0)
    for step in (20, 40, 60):
        log.write(stage="network", step=step, loss=float(step))
    log.resume("network", 40)
    log.write(stage="network", step=60, loss=0.5)
    assert rows(tmp_path) == [
        ("extractor", 40, "1"),
        ("network", 20, "20"),
        ("network", 40, "40"),
        ("network", 60, "0.5"),
    ]


def test_a_row_that_a_kill_cut_short_is_dropped(log, tmp_path):
    log.resume("network", 0)
    log.write(stage="network", step=20, loss=1.0)
    with (tmp_path / "run/log.csv").open("a") as file:
        file.write("network")
    log.resume("network", 20)
    log.write(stage="network", step=40, loss=2.0)
    assert rows(tmp_path) == [("network", 20, "1"), ("network", 40, "2")]


def test_a_kill_while_resuming_loses_nothing(log, tmp_path, monkeypatch):
    log.resume("network", 0)
    log.write(stage="network", step=20, loss=1.0)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(csv.DictWriter, "writerows", killed)
    with pytest.raises(KeyboardInterrupt):
        log.resume("network", 20)
    assert rows(tmp_path) == [("network", 20, "1")]


def scalars(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator(
        str(folder)
    )
    accumulator.Reload()
    return {
        name: [(event.step, event.value) for event in accumulator.Scalars(name)]
        for name in accumulator.Tags()["scalars"]
    }


def test_tensorboard_gets_the_same_numbers_without_what_was_repeated(tmp_path):
    first = TrainingLog(tmp_path / "run/log.csv")
    first.resume("network", 0)
    for step in (20, 40, 60):
        first.write(stage="network", step=step, epoch=0, loss=float(step))
    second = TrainingLog(tmp_path / "run/log.csv")  # the first one was killed
    second.resume("network", 40)
    second.write(stage="network", step=60, epoch=0, loss=0.5)
    second.close()
    assert scalars(tmp_path / "run/tensorboard/network") == {"loss": [(20, 20.0), (40, 40.0), (60, 0.5)]}


def test_without_tensorboard_there_is_the_table_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = TrainingLog(tmp_path / "run/log.csv")
    log.resume("network", 0)
    log.write(stage="network", step=20, loss=1.0)
    log.close()
    assert rows(tmp_path) == [("network", 20, "1")]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["log.csv"]
