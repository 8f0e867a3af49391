"""OpenVINO computes what torch computes, from the same weights, or the run ends with a sentence."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from LungTumorSegLib import cli
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.inference import backend, openvino_network
from LungTumorSegLib.inference.backend import choose_backend
from LungTumorSegLib.inference.device import choose_device, choose_precision
from LungTumorSegLib.inference.openvino_network import computes_in
from LungTumorSegLib.inference.predictor import predict_maps
from small_networks import a_grid_of_noise, a_network
from tiers import fast_only

CPU = torch.device("cpu")
needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs the package openvino")


@pytest.fixture
def grid():
    mask = np.zeros((14, 28, 34), bool)
    mask[3:11, 4:24, 6:28] = True
    return a_grid_of_noise(mask)


def maps_of(grid, network, library: str, **more):
    return predict_maps(grid, network, stride=4, mirror=True, device=CPU, backend=library, **more)


@needs_openvino
@pytest.mark.parametrize(
    "name",
    fast_only(
        ["sff_multires_unet3d"],
        ["sff_multires_unet3d", "multires_unet3d", "recurrent_dense_unet3d", "sff_recurrent_dense_unet3d"],
    ),
)
def test_probabilities_are_those_of_torch(grid, name):
    network = a_network(name)
    expected, found = maps_of(grid, network, "torch"), maps_of(grid, network, "openvino")
    assert expected.mean.max() - expected.mean.min() > 0.05, "the network tells voxels apart"
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-3)
    np.testing.assert_allclose(found.deviation(), expected.deviation(), atol=1e-3)


def a_small_network() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, padding=1), torch.nn.Conv3d(4, 1, 1), torch.nn.Sigmoid()).eval()


A_STACK = torch.linspace(0, 1, 8 * 16 * 16).reshape(1, 1, 8, 16, 16)


@needs_openvino
def test_a_small_network_in_bfloat16_stays_near_single_precision():
    network = a_small_network()
    exact, found = (openvino_network.openvino_network(network, A_STACK, each) for each in ("float32", "bfloat16"))
    with torch.inference_mode():
        difference = (found(A_STACK) - exact(A_STACK)).abs().mean()
    assert difference < 0.02
    assert (difference > 0) == computes_in("bfloat16"), "OpenVINO computes in it, or refuses it"


@needs_openvino
@pytest.mark.slow
def test_bfloat16_stays_near_single_precision(grid):
    network = a_network("multires_unet3d")
    expected = maps_of(grid, network, "openvino")
    found = maps_of(grid, network, "openvino", precision="bfloat16")
    difference = np.abs(found.mean - expected.mean).mean()
    assert difference < 0.02
    assert (difference > 0) == computes_in("bfloat16"), "OpenVINO computes in it, or refuses it"


@needs_openvino
@pytest.mark.parametrize(("able", "refused"), [(["FP32", "BF16"], False), (["FP32", "INT8"], True)])
def test_bfloat16_is_refused_where_the_processor_lacks_it(monkeypatch, able, refused):
    core = SimpleNamespace(get_property=lambda device, name: able)
    monkeypatch.setattr(openvino_network, "openvino_core", lambda: core)
    assert choose_precision("float32", CPU, "openvino") == "float32"
    assert choose_precision("bfloat16", CPU, "torch") == "bfloat16"
    with pytest.raises(MachineLimit, match="not compute in bfloat16") if refused else nullcontext():
        assert choose_precision("bfloat16", CPU, "openvino") == "bfloat16"


@needs_openvino
def test_the_package_that_reports_over_the_internet_is_not_loaded():
    openvino_network.openvino_network(a_small_network(), A_STACK)
    assert "openvino" in sys.modules
    assert "openvino_telemetry" not in sys.modules


A_NETWORK_DESTROYED_IN_A_THREAD = """
import gc, signal, threading, torch
from LungTumorSegLib.inference.openvino_network import openvino_network

network = torch.nn.Sequential(torch.nn.Conv3d(1, 1, 1), torch.nn.Sigmoid()).eval()
held = [openvino_network(network, torch.zeros(1, 1, 8, 16, 16))]
destroyer = threading.Thread(target=lambda: (held.clear(), gc.collect()))
destroyer.start()
destroyer.join()
signal.signal(signal.SIGINT, lambda *_: print("heeded"))
signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.slow
@needs_openvino
def test_a_process_survives_a_signal_after_a_network_was_destroyed_in_another_thread():
    command = [sys.executable, "-c", A_NETWORK_DESTROYED_IN_A_THREAD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "heeded\n"), done.stderr


@needs_openvino
def test_a_difference_ends_the_run(monkeypatch):
    monkeypatch.setattr(openvino_network, "LARGEST_DIFFERENCE", 0.0)
    monkeypatch.setattr(openvino_network.OpenVinoNetwork, "__call__", lambda *_: torch.zeros(1))
    with pytest.raises(MachineLimit, match=r"disagree .* choose the backend torch"):
        openvino_network.openvino_network(a_small_network(), A_STACK)


@needs_openvino
def test_a_network_that_openvino_cannot_compute_ends_the_run(grid):
    class Odd(torch.nn.Module):
        def forward(self, stack: torch.Tensor) -> torch.Tensor:
            return torch.linalg.householder_product(stack[0, 0], stack[0, 0, :, :, 0])[None, None]

    with pytest.raises(MachineLimit, match="OpenVINO cannot compute the network"):
        maps_of(grid, Odd(), "openvino")


def test_auto_is_torch_and_other_words_are_refused():
    assert choose_backend("auto") == choose_backend("torch") == "torch"
    with pytest.raises(UnusableInput, match="auto, torch or openvino, not 'onnx'"):
        choose_backend("onnx")


def test_a_missing_package_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(backend, "find_spec", lambda _: None)
    with pytest.raises(MachineLimit, match=r"package openvino, .*pip install openvino.*backend torch"):
        choose_backend("openvino")


def test_openvino_computes_on_the_cpu_only():
    assert choose_device("auto", "openvino") == CPU
    with pytest.raises(UnusableInput, match="on the CPU only"):
        choose_device("cuda", "openvino")


def test_the_command_ends_with_code_3_before_it_reads_the_ct(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(backend, "find_spec", lambda _: None)
    ct = tmp_path / "ct.nii.gz"
    ct.touch()
    assert cli.main(["segment", str(ct), "-o", str(tmp_path / "out"), "--backend", "openvino"]) == 3
    assert backend.OPENVINO_MISSING in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
