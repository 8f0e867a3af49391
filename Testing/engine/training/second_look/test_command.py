"""The result of a training is a model with both networks that loads."""

import json
from dataclasses import replace

import torch
from LungTumorSegLib.networks.second_network import SecondNetwork
from LungTumorSegLib.networks.stored import load_model
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
