"""Whole trainings at toy size: what they write, and that a kill at any moment changes nothing."""

import json
from dataclasses import replace

import pytest
import torch
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.events import ignore_progress
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.training import loop, stages
from LungTumorSegLib.training.checkpoint_score import CheckpointScore
from LungTumorSegLib.training.config import ModelConfig, StageConfig, TrainingConfig
from LungTumorSegLib.training.optimization import Optimization
from LungTumorSegLib.training.preparation import PreparedData
from LungTumorSegLib.training.stages import run_training
from LungTumorSegLib.training.whole_volumes import WholeVolumes
from safetensors.torch import load_file
from training_cases import TOY, Kill, a_stored_case, log_rows

STAGE = StageConfig(
    steps=4,
    epoch_steps=2,
    batch=2,
    learning_rate=0.01,
    warmup_steps=2,
    mine_after=0.2,
    mined_cases=1,
    selection_after=0.4,
)


@pytest.mark.parametrize("name", ["config.json", "log.csv", "curves.svg", "network.safetensors"])
def test_a_training_never_replaces_what_no_training_wrote(tmp_path, name):
    (tmp_path / name).write_text("the user's")
    with pytest.raises(UnusableInput, match=name):
        stages.keep_config(TrainingConfig(str(tmp_path)))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the user's"]


def test_a_training_never_replaces_its_configuration(tmp_path):
    (tmp_path / "config.json").write_text("seed: 1")
    with pytest.raises(UnusableInput, match="is an input"):
        stages.keep_config(TrainingConfig(str(tmp_path)), [tmp_path / "config.json"])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    training = [a_stored_case(folder / "a", "a"), a_stored_case(folder / "b", "b", is_phantom=True, seed=1)]
    return PreparedData(training, [a_stored_case(folder / "c", "c", seed=2)], [])


@pytest.fixture(scope="module")
def config(data):
    """A configuration of seconds, whose data are there already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "prepare_data", lambda *_, **__: data)
        patch.setattr(loop, "RECALIBRATION_BATCHES", 2)
        patch.setattr(loop, "LOG_STEPS", 1)
        yield replace(TOY, extractor=replace(STAGE, steps=2), network=replace(STAGE, freeze_norm_at=0.5))


def weights(folder):
    return load_file(folder / "model/model.safetensors")


def assert_same_weights(found, expected):
    torch.testing.assert_close(weights(found), weights(expected), rtol=0, atol=0)


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    run_training(replace(config, output=str(folder)))
    return folder


def test_a_training_writes_a_model_that_inference_loads(undisturbed):
    model = load_model(str(undisturbed / "model"))
    assert (model.manifest.id, model.manifest.network, model.manifest.width) == (
        "undisturbed",
        "sff_multires_unet3d",
        4,
    )
    assert model.manifest.training_data.startswith("1 CTs, 1 phantoms")
    stored = {name.name for name in undisturbed.iterdir()}
    assert {
        "config.json",
        "log.csv",
        "extractor-last.safetensors",
        "network-last.safetensors",
        "network-best.safetensors",
    } <= stored
    assert json.loads((undisturbed / "config.json").read_text())["network"]["steps"] == 4
    found = {name.name for name in (undisturbed / "held-out").iterdir()}
    assert found == {"metrics.json", "cases.csv", "froc.svg", "c.png"}
    assert json.loads((undisturbed / "held-out/metrics.json").read_text())["cases"] == 1
    assert (undisturbed / "curves.svg").is_file()
    rows = log_rows(undisturbed)
    assert [(row["stage"], row["step"]) for row in rows if row["loss"]] == [
        ("extractor", "1"),
        ("extractor", "2"),
        ("network", "1"),
        ("network", "2"),
        ("network", "3"),
        ("network", "4"),
    ]
    assert [row["step"] for row in rows if row["score"]] == ["2", "4"]


def test_the_frozen_extractor_is_the_one_that_stage_1_trained(undisturbed):
    extractor, network = (
        load_file(undisturbed / "extractor-last.safetensors"),
        load_file(undisturbed / "network-last.safetensors"),
    )
    names = [name.removeprefix("weights/fe.") for name in network if name.startswith("weights/fe.")]
    assert names
    for name in names:
        assert torch.equal(network[f"weights/fe.{name}"], extractor[f"weights/{name}"]), name


slow = pytest.mark.slow
KILLED = [(1, 0.0), (2, 1e9), (3, 1e9), (4, 0.0), (5, 0.0), (6, 1e9)]


@slow
@pytest.mark.parametrize(("at", "seconds"), KILLED)
def test_a_killed_training_ends_in_the_same_place(config, undisturbed, tmp_path, monkeypatch, at, seconds):
    """Killed in the 2D stage (calls 1 and 2) or the 3D stage (3 to 6), again at the next step, then left alone; with
    checkpoints each step or each epoch only."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", seconds)
    killed = replace(config, output=str(tmp_path / "killed"))
    for moment in (at, 1):
        with pytest.raises(KeyboardInterrupt):
            run_training(killed, Kill(moment))
    run_training(killed)
    assert_same_weights(tmp_path / "killed", undisturbed)
    assert log_rows(tmp_path / "killed")[-1] == log_rows(undisturbed)[-1]
    assert [(row["stage"], row["step"]) for row in log_rows(tmp_path / "killed")] == [
        (row["stage"], row["step"]) for row in log_rows(undisturbed)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["mine", "score"])
def test_a_kill_between_epochs_changes_nothing_either(config, undisturbed, tmp_path, monkeypatch, where):
    killed = replace(config, output=str(tmp_path / "killed"))
    with monkeypatch.context() as patch:
        patch.setattr(WholeVolumes, where, lambda *_: Kill(1)(None))
        with pytest.raises(KeyboardInterrupt):
            run_training(killed)
    run_training(killed)
    assert_same_weights(tmp_path / "killed", undisturbed)


def test_a_finished_training_is_not_repeated(config, undisturbed, monkeypatch):
    before = weights(undisturbed)

    def must_not_run(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(Optimization, "step", must_not_run)
    run_training(replace(config, output=str(undisturbed)))
    assert all(torch.equal(value, before[name]) for name, value in weights(undisturbed).items())


def test_another_configuration_does_not_go_on_with_the_old_one(config, undisturbed):
    with pytest.raises(
        UnusableInput, match=r"undisturbed contains a training run with another configuration \(network\.learning_rate"
    ):
        run_training(replace(config, output=str(undisturbed), network=replace(config.network, learning_rate=0.5)))
    run_training(
        replace(config, output=str(undisturbed), workers=1, threads=1)
    )  # where and how fast it runs is another matter


def test_seeds_give_different_models(config, undisturbed, tmp_path):
    run_training(replace(config, output=str(tmp_path / "other"), seed=2))
    name = "enc1.conv3.conv.weight"
    assert not torch.equal(weights(tmp_path / "other")[name], weights(undisturbed)[name])


def test_the_best_weights_are_exported_not_the_last(config, tmp_path, monkeypatch):
    values = iter([0.9, 0.1])
    monkeypatch.setattr(WholeVolumes, "score", lambda *_: CheckpointScore(next(values), 0.0))
    run_training(replace(config, output=str(tmp_path / "run")))
    best, last = (load_file(tmp_path / f"run/network-{kind}.safetensors") for kind in ("best", "last"))
    name = "enc1.conv3.conv.weight"
    assert not torch.equal(best[f"weights/{name}"], last[f"weights/{name}"])
    assert torch.equal(weights(tmp_path / "run")[name], best[f"weights/{name}"])


def test_training_stops_early_without_a_better_score(config, tmp_path, monkeypatch):
    values = iter([0.5, 0.6, 0.2, 0.3, 0.9])
    monkeypatch.setattr(WholeVolumes, "score", lambda *_: CheckpointScore(next(values), 0.0))
    stage = replace(config.network, steps=10, epoch_steps=1, selection_after=0.0, patience=2)
    run_training(replace(config, output=str(tmp_path / "run"), network=stage))
    steps = [int(row["step"]) for row in log_rows(tmp_path / "run") if row["stage"] == "network"]
    assert max(steps) == 4  # the best was the second; two epochs without a better one ended it


def test_a_network_without_extractor_trains_in_one_stage(config, tmp_path):
    run_training(
        replace(config, output=str(tmp_path / "run"), model=ModelConfig("multires_unet3d", 4), extractor=None),
        ignore_progress,
    )
    assert not (tmp_path / "run/extractor-last.safetensors").exists()
    assert load_model(str(tmp_path / "run/model")).manifest.network == "multires_unet3d"


def test_a_training_may_begin_with_the_weights_of_a_stored_model(config, undisturbed, tmp_path, monkeypatch):
    seen = {}

    def stop(self, *_, **__):
        seen.update({name: value.clone() for name, value in self.network.state_dict().items()})
        raise KeyboardInterrupt

    monkeypatch.setattr(Optimization, "step", stop)
    begun = replace(config, output=str(tmp_path / "more"), start_from=str(undisturbed / "model"))
    with pytest.raises(KeyboardInterrupt):
        run_training(begun)
    stored = weights(undisturbed)
    assert all(torch.equal(seen[name], stored[name]) for name in stored)
    assert not (tmp_path / "more/extractor-last.safetensors").exists()
    with pytest.raises(UnusableInput, match="another network or width"):
        run_training(replace(begun, output=str(tmp_path / "wide"), model=ModelConfig("sff_multires_unet3d", 8)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ModelConfig("unet4d")}, "no network 'unet4d'"),
        ({"model": ModelConfig("multires_unet2d")}, "must be a 3D network"),
        ({"model": ModelConfig("multires_unet3d")}, "remove the extractor stage"),
        ({"extractor": None}, "must be trained first"),
    ],
)
def test_stages_that_do_not_go_with_the_network_are_refused_before_anything_is_written(
    config, tmp_path, changes, message
):
    with pytest.raises(UnusableInput, match=message):
        run_training(replace(config, output=str(tmp_path / "run"), **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_training_on_a_plateau_goes_on_as_if_it_had_never_stopped(config, tmp_path, monkeypatch):
    """The epochs without progress are counted across kills."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("LungTumorSegLib.training.schedules.PLATEAU_EPOCHS", 1)
    stage = replace(config.network, schedule="plateau", steps=6, mined_cases=0, selection_after=1.0, learning_rate=0.3)
    configs = [replace(config, output=str(tmp_path / name), network=stage, seed=3) for name in ("a", "b")]
    run_training(configs[0])
    for moment in (5, 2):
        with pytest.raises(KeyboardInterrupt):
            run_training(configs[1], Kill(moment))
    run_training(configs[1])
    rates = [[row["learning_rate"] for row in log_rows(tmp_path / name) if row["learning_rate"]] for name in ("a", "b")]
    assert rates[0] == rates[1]
    assert float(min(rates[0], key=float)) < 0.2  # there was a plateau
    assert_same_weights(tmp_path / "a", tmp_path / "b")
