"""Shapes, freezing, dropout and recurrence of the networks."""

import pytest
import torch
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks.recurrent_dense_unet import ConvLSTM, RecurrentBase, hard_sigmoid

STACKS = (
    "unet3d",
    "multires_unet3d",
    "recurrent_dense_unet3d",
    "sff_unet3d",
    "sff_multires_unet3d",
    "sff_recurrent_dense_unet3d",
)
SLICES = ("unet2d", "multires_unet2d", "dense_unet2d")
FUSION = [name for name in STACKS if name.startswith("sff")]


def a_network(name, **options):
    torch.manual_seed(4)
    return build_network(name, 4, **options)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("shape", [(1, 1, 3, 8, 24), (2, 1, 8, 24, 16)])
def test_any_depth_and_multiples_of_eight_give_probabilities_of_the_same_shape(name, shape):
    with torch.no_grad():
        answer = a_network(name).eval()(torch.rand(shape))
    assert answer.shape == shape
    assert answer.dtype == torch.float32
    assert 0 < answer.min() <= answer.max() < 1


@pytest.mark.parametrize("name", SLICES)
def test_2d_networks_take_slices(name):
    with torch.no_grad():
        assert a_network(name).eval()(torch.rand(3, 1, 16, 24)).shape == (3, 1, 16, 24)


@pytest.mark.parametrize("shape", [(1, 1, 8, 20, 24), (1, 1, 8, 24, 12), (1, 2, 8, 16, 16), (1, 8, 16, 16)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"multiples of 8|takes \(N, 1, D, H, W\)"):
        a_network("sff_unet3d")(torch.rand(shape))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet4d", {}),
        ("unet3d", {"variant": "original"}),
        ("unet3d", {"recurrence": "columns"}),
        ("unet3d", {"width": 3}),
    ],
)
def test_unknown_networks_are_refused(name, options):
    with pytest.raises(UnusableInput, match=r"network|recurrence|width"):
        build_network(name, **{"width": 8, **options})


@pytest.mark.parametrize("name", FUSION)
def test_the_extractor_stays_as_it_is_while_the_rest_learns(name):
    network = a_network(name).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.1)
    network(torch.rand(2, 1, 8, 16, 16)).mean().backward()
    optimizer.step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(before[key], value)}
    assert changed
    assert not any(key.startswith("fe.") for key in changed)


@pytest.mark.parametrize(
    ("name", "noisy"), [("sff_unet3d", True), ("sff_recurrent_dense_unet3d", True), ("sff_multires_unet3d", False)]
)
def test_dropout_stays_active_in_the_frozen_extractor_below_its_first_tap(name, noisy):
    network = a_network(name).train()
    slices = torch.rand(2, 1, 16, 16)
    first, second = network.features(slices), network.features(slices)
    assert torch.equal(first[0], second[0])
    for level in (1, 2):
        assert torch.equal(first[level], second[level]) is not noisy
    network.eval()
    assert all(torch.equal(a, b) for a, b in zip(network.features(slices), network.features(slices), strict=True))


@pytest.mark.parametrize(("training", "expected"), [(True, [0, 0, None]), (False, [0, 1])])
def test_each_map_of_the_extractor_draws_its_own_dropout_on_the_way_from_the_clean_first_map(training, expected):
    network = a_network("sff_unet3d").train(training)
    dropped = []
    network.fe.drop.register_forward_pre_hook(lambda _, inputs: dropped.append(inputs[0]))
    maps = network.features(torch.rand(2, 1, 16, 16))
    # Which map went into each dropout; in training the third map comes down through a second map of its own.
    assert [next((level for level, known in enumerate(maps) if known is x), None) for x in dropped] == expected


def test_a_trained_2d_network_lends_its_encoder():
    network, donor = a_network("sff_multires_unet3d"), a_network("multires_unet2d")
    with torch.no_grad():
        for parameter in donor.parameters():
            parameter.normal_()
    network.load_extractor(donor)
    for key, value in network.fe.state_dict().items():
        assert torch.equal(value, donor.state_dict()[key])
    with pytest.raises(ValueError, match="same family and width"):
        network.load_extractor(build_network("multires_unet2d", 8))


def test_recurrence_over_slices_is_recurrence_over_rows_of_the_permuted_volume():
    torch.manual_seed(9)
    rows, slices = (RecurrentBase(3, 5, 6, axis).eval() for axis in ("rows", "slices"))
    slices.load_state_dict(rows.state_dict())
    x = torch.randn(2, 5, 4, 3, 7)  # N, C, D, H, W
    # rows: time H, kernels on (W, D); slices: time D, kernels on (H, W). So (D, H, W) plays the part of (H, W, D).
    permuted = x.permute(0, 1, 4, 2, 3)
    with torch.no_grad():
        answer = rows(permuted).permute(0, 1, 3, 4, 2)
        torch.testing.assert_close(slices(x), answer)
        assert (slices(x) - rows(x)).abs().max() > 1e-3


def test_the_conv_lstm_is_the_textbook_recursion():
    torch.manual_seed(1)
    lstm = ConvLSTM(2, 3)
    x = torch.randn(4, 1, 2, 1, 1)  # one voxel: each convolution is its central weight
    kernel, recurrent = lstm.kernel[:, :, 1, 1], lstm.recurrent_kernel[:, :, 1, 1]
    hidden, cell = torch.zeros(3), torch.zeros(3)
    with torch.no_grad():
        for step, states in zip(x[:, 0, :, 0, 0], lstm(x)[:, 0, :, 0, 0], strict=True):
            i, f, c, o = (kernel @ step + lstm.bias + recurrent @ hidden).split(3)
            cell = hard_sigmoid(f) * cell + hard_sigmoid(i) * torch.tanh(c)
            hidden = hard_sigmoid(o) * torch.tanh(cell)
            torch.testing.assert_close(states, hidden)


def test_the_hard_sigmoid_has_kerass_slope():
    assert hard_sigmoid(torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])).tolist() == pytest.approx([0.0, 0.3, 0.5, 0.7, 1.0])


def test_initial_weights_are_kerass():
    torch.manual_seed(0)
    network = build_network("recurrent_dense_unet3d", 8)
    lstm = network.base.lstm1
    assert lstm.bias.unflatten(0, (4, -1)).mean(dim=1).tolist() == [0.0, 1.0, 0.0, 0.0]
    kernel = network.enc2.conv1.weight
    limit = (6 / ((kernel.shape[0] + kernel.shape[1]) * 27)) ** 0.5
    assert kernel.abs().max() <= limit
    assert kernel.abs().max() > 0.95 * limit
    flat = lstm.recurrent_kernel.permute(2, 3, 1, 0).reshape(9 * 64, 4 * 64)
    torch.testing.assert_close(flat.T @ flat, torch.eye(256), atol=1e-4, rtol=0)


def test_bfloat16_training_gives_the_gradients_of_single_precision():
    network = a_network("sff_multires_unet3d").eval()  # fixed statistics: the comparison is of the convolutions
    x = torch.rand(1, 1, 8, 16, 16)
    gradients = []
    for precise in (True, False):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            loss = network.logits(x).float().square().mean()
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    exact, half = gradients
    assert torch.nn.functional.cosine_similarity(exact, half, dim=0) > 0.98
