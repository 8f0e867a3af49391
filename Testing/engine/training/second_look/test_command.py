"""The result of a training is a model with both networks that loads."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from LungTumorSegLib.core.events import Progress
from LungTumorSegLib.networks.second_network import SecondNetwork
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.process.progress import COMMAND_SHARES, RunProgress
from LungTumorSegLib.training.second_look import command
from LungTumorSegLib.training.second_look.calibration import Judged
from LungTumorSegLib.training.second_look.command import export


def test_the_model_has_both_networks_and_their_calibrations(first, config, tmp_path):
    (tmp_path / "out").mkdir()
    settings = config()
    settings = replace(settings, second_look=replace(settings.second_look, first=str(first)))
    judged = [
        Judged(source, "case", tumor, {"tumor_logit": 2.0 * tumor, "confidence": 0.5 + 0.1 * tumor})
        for source in ("one", "two")
        for tumor in (True, False)
    ]
    network = SecondNetwork(1)
    stored = load_model(str(export(network, judged, settings, load_model(str(first)), "nothing")))
    for name, value in network.state_dict().items():
        assert torch.equal(
            stored.second.state_dict()[name], value.half().float() if value.is_floating_point() else value
        )
    look = stored.manifest.second_look
    assert (set(look.candidate.weights), set(look.click.weights)) == ({"tumor_logit", "confidence"}, {"tumor_logit"})
    measured = json.loads((tmp_path / "out" / "calibration.json").read_text(encoding="utf-8"))
    assert set(measured["candidate"]["sources"]) == {"one", "two"}


def test_all_networks_of_a_second_look_move_the_percentage(monkeypatch, config):
    """The folds and the final network; drawing samples and cases state their own time until then."""
    progress, seen = RunProgress(COMMAND_SHARES["train"]), []

    class Loop:
        def __init__(self, *_, **__):
            pass

        def run(self, on_progress):
            on_progress(Progress("training anything", 1, 1))

    def tell(step):
        progress.update(step)
        seen.append((step.stage, round(step.done / step.total, 2)))

    settings = config()
    Path(settings.output).mkdir()
    monkeypatch.setattr(command, "LookLoop", Loop)
    for name in ("load_model", "keep_config", "check_folds", "_pool", "write_curves", "export"):
        monkeypatch.setattr(command, name, lambda *_, **__: None)
    monkeypatch.setattr(command, "prepare_cases", lambda *_, **__: [])
    command.run_training(settings, tell)
    count = len(settings.second_look.folds) + 1
    assert seen == [("training network", round(number / count, 2)) for number in range(1, count + 1)]
    assert progress.percent >= 95
