"""Chains of steps at toy size: what each step begins with, what the last one is, and that a kill changes nothing."""

from dataclasses import replace
from pathlib import Path

import LungTumorSegLib.training.config as config_module
import pytest
import torch
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.process.progress import COMMAND_SHARES
from LungTumorSegLib.training import chain, loop, stages
from LungTumorSegLib.training.config import StageConfig, StepConfig, read_config
from LungTumorSegLib.training.preparation import PreparedData
from LungTumorSegLib.training.stages import run_training
from safetensors.torch import load_file
from training_cases import TOY, Kill, a_stored_case, log_rows

STAGE = StageConfig(
    steps=2, epoch_steps=1, batch=1, learning_rate=0.01, warmup_steps=0, mined_cases=0, freeze_norm_at=0.5, ema=0.5
)
CHAIN = (
    StepConfig("base"),
    StepConfig("more", network={"steps": 4, "epoch_steps": 2, "freeze_norm_at": 0.0, "mined_cases": 1}),
    StepConfig("other", start="base", seed=9, network={"learning_rate": 0.02, "freeze_norm_at": 0.0}),
    StepConfig("mean", mean_of=("more", "other")),
)
NAME = "enc1.conv3.conv.weight"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A configuration of seconds, whose data are there already; no case is held out."""
    folder = tmp_path_factory.mktemp("cases")
    data = PreparedData([a_stored_case(folder / "a", "a"), a_stored_case(folder / "b", "b", is_phantom=True)], [], [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "prepare_data", lambda *_, **__: data)
        patch.setattr(loop, "RECALIBRATION_BATCHES", 1)
        patch.setattr(loop, "LOG_STEPS", 1)
        yield replace(TOY, chain=CHAIN, extractor=replace(STAGE, steps=1), network=STAGE)


def weights(file):
    stored = load_file(file)
    return {name.removeprefix("weights/"): value for name, value in stored.items() if not name.startswith("optimizer/")}


REPORTED = []
"""Progress of the undisturbed run."""


@pytest.fixture(scope="module")
def unbroken(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    run_training(replace(config, output=str(folder)), REPORTED.append)
    return folder


def test_a_chain_reports_one_stage_that_ends_with_its_last_step(unbroken):
    found = [(step.done, step.total) for step in REPORTED if step.stage == "training network"]
    assert found == [(done, 8) for done in range(1, 9)]
    assert {step.stage for step in REPORTED} <= set(COMMAND_SHARES["train"])


def test_every_step_is_trained_in_its_order(unbroken):
    found = [(row["stage"], row["step"]) for row in log_rows(unbroken) if row["loss"]]
    expected = {"extractor": 1, "base": 2, "more": 4, "other": 2}
    assert found == [(name, str(step + 1)) for name, steps in expected.items() for step in range(steps)]
    rates = {row["stage"]: float(row["learning_rate"]) for row in log_rows(unbroken) if row["step"] == "1"}
    assert rates["other"] == pytest.approx(2 * rates["base"], rel=0.01)


def test_the_result_is_the_mean_of_the_steps_it_names(unbroken):
    """Each step is stood for by its moving average, which differs from its last weights."""
    steps = [weights(unbroken / f"{name}-last.safetensors") for name in ("more", "other")]
    model = load_file(unbroken / "model/model.safetensors")
    mean = (steps[0][f"average/{NAME}"] + steps[1][f"average/{NAME}"]) / 2
    torch.testing.assert_close(model[NAME], mean)
    assert not torch.equal(steps[0][f"average/{NAME}"], steps[0][NAME])


def test_a_step_begins_with_the_weights_of_the_step_it_names(config, unbroken, tmp_path, monkeypatch):
    begun = {}

    def spy(name, stream, network, *arguments, **settings):
        begun[name] = network.state_dict()[NAME].clone()
        return loop.TrainingLoop(name, stream, network, *arguments, **settings)

    monkeypatch.setattr(chain, "TrainingLoop", spy)
    run_training(replace(config, output=str(unbroken)))
    base = weights(unbroken / "base-last.safetensors")[f"average/{NAME}"]
    assert torch.equal(begun["more"], base)
    assert torch.equal(begun["other"], base)


@pytest.mark.slow
@pytest.mark.parametrize(("at", "seconds"), [(5, 0.0), (6, 1e9), (4, 0.0), (8, 0.0)])
def test_a_chain_that_was_killed_in_a_step_goes_on_there(config, unbroken, tmp_path, monkeypatch, at, seconds):
    """Calls 1 to 3 belong to the first step (with its 2D stage), 4 to 7 to the second and 8 and 9 to the third."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", seconds)
    killed = replace(config, output=str(tmp_path / "killed"))
    for moment in (at, 2):
        with pytest.raises(KeyboardInterrupt):
            run_training(killed, Kill(moment))
    reported = []
    run_training(killed, reported.append)
    done = [step.done for step in reported if step.stage == "training network"]
    assert min(done) > config.network.steps, "a finished step is not repeated"
    model = load_file(tmp_path / "killed/model/model.safetensors")
    for name, value in load_file(unbroken / "model/model.safetensors").items():
        assert torch.equal(model[name], value), name
    assert log_rows(tmp_path / "killed") == log_rows(unbroken)


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        (CHAIN[:2], "chain was 'base, more, other, mean', now 'base, more'"),
        ((), "chain was"),
        ((*CHAIN[:1], replace(CHAIN[1], seed=3), *CHAIN[2:]), r"chain\[1\].seed was None, now 3"),
        ((*CHAIN[:2], replace(CHAIN[2], start="more"), *CHAIN[3:]), r"chain\[2\].start was 'base', now 'more'"),
        ((replace(CHAIN[0], network={"steps": 5}), *CHAIN[1:]), r"chain\[0\].network.steps was None, now 5"),
        ((*CHAIN[:2], replace(CHAIN[2], network={}), *CHAIN[3:]), r"chain\[2\].network.learning_rate was 0.02"),
    ],
)
def test_a_chain_that_has_begun_does_not_go_on_with_other_steps(config, unbroken, chain, message):
    with pytest.raises(UnusableInput, match=message):
        stages.keep_config(replace(config, output=str(unbroken), chain=chain))


def test_minutes_of_a_step_may_change_and_steps_may_follow(config, unbroken):
    longer = replace(CHAIN[1], network={**CHAIN[1].network, "max_minutes": 3.0})
    stages.keep_config(replace(config, output=str(unbroken), chain=(CHAIN[0], longer, *CHAIN[2:], StepConfig("last"))))


def test_the_first_step_of_a_chain_needs_what_a_training_needs(config, tmp_path):
    begun = replace(config, output=str(tmp_path / "run"), extractor=None)
    with pytest.raises(UnusableInput, match="must be trained first"):
        run_training(begun)


def test_a_mean_may_contain_the_model_that_the_training_began_with(config, unbroken, tmp_path):
    chain = (
        StepConfig("more", network={"steps": 1, "freeze_norm_at": 0.0}),
        StepConfig("mean", mean_of=("start_from", "more"), mean_shares=(3, 1), output_logit=0.4),
    )
    begun = unbroken / "model"
    run_training(replace(config, output=str(tmp_path / "run"), start_from=str(begun), chain=chain))
    before, after = (load_file(folder / "model.safetensors") for folder in (begun, tmp_path / "run/model"))
    step = weights(tmp_path / "run/more-last.safetensors")[f"average/{NAME}"]
    assert not torch.equal(before[NAME], step)
    torch.testing.assert_close(after[NAME], 0.75 * before[NAME] + 0.25 * step)
    step = weights(tmp_path / "run/more-last.safetensors")["average/out.bn.bias"]
    torch.testing.assert_close(after["out.bn.bias"], 0.75 * before["out.bn.bias"] + 0.25 * step + 0.4)


@pytest.mark.slow
def test_all_steps_of_the_recipe_of_the_shipped_model_run(config, unbroken, tmp_path):
    """At toy size, after a toy model."""
    recipe = read_config(Path(config_module.__file__).parent / "configs/world.yaml")
    small = {"steps": 2, "epoch_steps": 1, "batch": 1, "mined_cases": 1}
    tiny = replace(
        config,
        output=str(tmp_path / "run"),
        start_from=str(unbroken / "model"),
        sampling=replace(recipe.sampling, crop=(8, 16, 16)),
        network=replace(recipe.network, **small),
        chain=tuple(
            step if step.mean_of else replace(step, network={**step.network, **small}) for step in recipe.chain
        ),
    )
    run_training(tiny)
    stored = {path.name for path in (tmp_path / "run").glob("*.safetensors")}
    assert stored == {f"{name}-last.safetensors" for name in ("wide", "calm")}
    assert (tmp_path / "run/model/manifest.json").is_file()
