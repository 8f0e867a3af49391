"""Our networks answer what the authors' Keras networks answer, and have exactly the published numbers of parameters."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks.keras_weights import keras_counts, load_keras_weights

FIXTURES = Path(__file__).resolve().parents[2] / "data" / "parity"
TOLERANCE = 1e-4
"""An exact re-implementation stays below 1.5e-5; another batch norm epsilon gives 7e-3, another gate 1.2e-2, another
axis 0.15."""

# fixture -> name, options; Keras's counts (total, trainable) at the published width, slides of Najeeb & Bhuiyan 2022.
NETWORKS = {
    "unet2d_x3": ("unet2d", {}, (1_930_657, 1_927_841)),
    "denseunet2d_x3": ("dense_unet2d", {}, (3_717_570, 3_714_754)),
    "mrunet2d_x3": ("multires_unet2d", {}, (1_790_068, 1_778_658)),
    "unet3d": ("unet3d", {}, (5_433_313, 5_430_497)),
    "mrunet3d_paper": ("multires_unet3d", {}, (4_297_252, 4_285_842)),
    "mrunet3d_repo": ("multires_unet3d", {"variant": "repository"}, (4_757_284, 4_745_106)),
    "r3ddunet": ("recurrent_dense_unet3d", {}, (19_220_162, 19_216_834)),
    "kamal_r3ddunet": ("recurrent_dense_unet3d", {"variant": "original"}, (19_100_161, 19_096_833)),
    "sff_unet3d": ("sff_unet3d", {}, (6_882_753, 6_591_713)),
    "sff_mrunet3d_paper": ("sff_multires_unet3d", {}, (5_135_336, 4_932_807)),
    "sff_mrunet3d_repo": ("sff_multires_unet3d", {"variant": "repository"}, (4_490_218, 4_436_091)),
    "sff_r3ddunet": ("sff_recurrent_dense_unet3d", {}, (25_012_418, 24_551_234)),
}


def weight(number, kind, shape, constants):
    """Weight ``number`` of a fixture, by the recipe in its ``meta``."""
    random = np.random.RandomState(1000 + number)
    if kind == "moving_variance":
        return 0.5 + random.random_sample(shape)
    if kind == "gamma":
        return constants["ga"] + constants["gb"] * random.random_sample(shape)
    values = random.standard_normal(shape)
    if kind == "kernel":
        return values * np.sqrt(constants["G"] / np.prod(shape[:-1]))
    if kind == "convt_kernel":
        return values * np.sqrt(2 / shape[-1])
    if kind in ("lstm_kernel", "recurrent_kernel"):
        return values * np.sqrt(1 / np.prod(shape[:-1]))
    return values * {"bias": 0.1, "beta": 0.2, "moving_mean": 0.2}[kind]


def fixture(name):
    """Weights by name, input and expected output as torch lays them out: (N, 1, D, H, W) or (N, 1, H, W)."""
    with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as file:
        meta, output = json.loads(str(file["meta"])), file["output"]
    weights = {
        path: weight(number, kind, tuple(shape), meta["recipe_constants"]).astype(np.float32)
        for number, (path, kind, shape) in enumerate(meta["weights"])
    }
    image = np.random.RandomState(7).random_sample(meta["input_shape"]).astype(np.float32)
    axes = (0, 4, 3, 1, 2) if image.ndim == 5 else (0, 3, 1, 2)
    return weights, torch.from_numpy(np.ascontiguousarray(image.transpose(axes))), output.transpose(axes)


@pytest.mark.parametrize("name", NETWORKS)
def test_reproduces_the_published_network(name):
    weights, image, expected = fixture(name)
    network_name, options, _ = NETWORKS[name]
    network = build_network(network_name, 8, **options).eval()
    load_keras_weights(network, weights)
    with torch.no_grad():
        answer = network(image).numpy()
    assert answer.shape == expected.shape
    assert expected.std() > 0.05  # else any constant would do
    assert np.abs(answer - expected).max() < TOLERANCE


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("sff")])
def test_precomputed_features_change_nothing(name):
    weights, image, expected = fixture(name)
    network_name, options, _ = NETWORKS[name]
    network = build_network(network_name, 8, **options).eval()
    load_keras_weights(network, weights)
    depth = image.shape[2]
    with torch.no_grad():
        each_slice = [network.features(image[:, :, k]) for k in range(depth)]
        stacked = [torch.stack(level, dim=2) for level in zip(*each_slice, strict=True)]
        answer = network(image, stacked).numpy()
    assert np.abs(answer - expected).max() < TOLERANCE


@pytest.mark.parametrize("name", NETWORKS)
def test_has_the_published_number_of_parameters(name):
    network_name, options, counts = NETWORKS[name]
    with torch.device("meta"):
        network = build_network(network_name, 32, **options)
    assert keras_counts(network) == counts


@pytest.mark.parametrize("change", ["missing", "extra", "misshapen"])
def test_weights_that_do_not_fit_are_refused_and_change_nothing(change):
    weights, _, _ = fixture("unet2d_x3")
    if change == "missing":
        del weights["dec1.conv2.bias"]
    elif change == "extra":
        weights["dec9.conv1.bias"] = np.zeros(3)
    else:
        weights["up2.convt.kernel"] = weights["up2.convt.kernel"][:-1]
    network = build_network("unet2d", 8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    message = {"missing": r"missing.*dec1.conv2.bias", "extra": r"unknown.*dec9", "misshapen": r"up2.convt"}[change]
    with pytest.raises(ValueError, match=message):
        load_keras_weights(network, weights)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
