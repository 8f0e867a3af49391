"""The networks of other papers: shapes, numbers of parameters derived by hand, gradients, and published outputs."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks.contract import foreground_logits
from LungTumorSegLib.networks.registry import PUBLISHED_WIDTHS, network_names, published_width
from LungTumorSegLib.networks.ts_fcn import TSFCN
from LungTumorSegLib.networks.vnet import VNet

FIXTURES = Path(__file__).resolve().parents[2] / "data" / "parity"
NAMES = tuple(PUBLISHED_WIDTHS)


def a_network(name, **options):
    torch.manual_seed(4)
    return build_network(name, 4, **options)


def conv(i, o, volume, bias=1):
    """Number of parameters of a convolution with a kernel of ``volume`` voxels."""
    return i * o * volume + bias * o


def block2d(i, o):
    return conv(i, o, 9) + conv(o, o, 9)


def vnet(down, up):
    """Convolutions with bias and a PReLU weight per channel, width 16, two classes."""
    total = conv(1, 16, 125) + 16
    for level, count in enumerate(down[1:], start=1):
        c = 16 * 2**level
        total += conv(c // 2, c, 8) + c + count * (conv(c, c, 125) + c)
    for level, count, below in zip((3, 2, 1, 0), up, (256, 256, 128, 64), strict=True):
        c = 16 * 2**level
        total += conv(below, c, 8) + c + count * (conv(2 * c, 2 * c, 125) + 2 * c)
    return total + conv(32, 2, 125) + 2 + conv(2, 2, 1)


def acb(i, f):
    """A 1 x 3 x 3 and two 3 x 3 x 3 convolutions."""
    return conv(i, f, 9) + 2 * conv(f, f, 27)


def res_unet(decoders):
    filters = (28, 36, 48, 64, 80)
    total = conv(1, 28, 25) + acb(28, 28) + acb(28, 36) + acb(36, 48) + acb(48, 64)
    total += sum(conv(f, f, 9) for f in filters[:4])  # down
    total += acb(64, 80) + conv(80, 80, 1) + conv(28, 28, 9)  # center, finest skip
    decoder = sum(conv(b, h, 1) + acb(h, h) for h, b in pairwise(filters))
    return total + decoders * decoder + conv(28, 2, 25)


def norm_conv(i, o, volume):
    """Convolution without bias, batch norm (2) and PReLU (1)."""
    return i * o * volume + 3 * o


def pdv_net(classes):
    total, channels = norm_conv(1, 24, 125), 25
    merged = 0
    for layers, growth, skip, last in ((5, 4, 12, False), (10, 6, 24, False), (10, 8, 24, True)):
        total += sum(norm_conv(channels + i * growth, growth, 27) for i in range(layers))
        channels += layers * growth
        merged += skip
        total += norm_conv(channels, skip, 27) + conv(merged, classes, 27)
        total += 0 if last else norm_conv(channels, 24, 27)
        channels = 24
    return total


def attention_unet():
    def twice(i, o):
        return conv(i, o, 27) + conv(o, o, 27) + 4 * o  # two batch norms

    f = (16, 32, 64, 128, 256)
    total = sum(twice(i, o) for i, o in zip((1, *f), f, strict=False)) + conv(256, 256, 1) + 2 * 256
    for c, g in ((32, 64), (64, 128), (128, 256)):
        total += 8 * c * c + conv(g, c, 1) + conv(c, 1, 1) + 2 * (conv(c, c, 1) + 2 * c)
    total += sum(twice(a + b, a) + conv(a, 2, 1) for a, b in pairwise(f))
    return total + conv(8, 2, 1)


def ronneberger():
    f = (64, 128, 256, 512, 1024)
    up = sum(conv(b, a, 4) + block2d(2 * a, a) for a, b in pairwise(f))
    return sum(block2d(i, o) for i, o in zip((1, *f), f, strict=False)) + up + conv(64, 1, 1)


def vgg_unet():
    encoder = 14_714_688 - 2 * 9 * 64  # VGG-16's convolutions, with one input channel instead of three
    total = encoder + conv(16, 1, 9)
    for i, o in ((512 + 512, 256), (256 + 512, 128), (128 + 256, 64), (64 + 128, 32), (32 + 64, 16)):
        total += 9 * o * (i + o) + 4 * o
    return total


COUNTS = {
    ("vnet", "published"): vnet((1, 2, 3, 3, 3), (3, 3, 2, 1)),
    ("vnet", "repository"): vnet((1, 1, 2, 3, 3), (3, 2, 1, 1)),
    # The authors' class has 86,724 more in layers that it never uses: seven projections, three skip convolutions.
    ("res_unet_r", "published"): 1_634_482 - 86_724,
    ("res_unet_h", "published"): res_unet(2) - conv(28, 2, 25) + 2 * conv(28, 1, 25),
    ("pdv_net", "published"): pdv_net(2),
    ("pdv_net", "lobes"): pdv_net(6),
    ("attention_unet", "published"): attention_unet(),
    ("spread_unet2d", "published"): block2d(1, 64) + block2d(64, 128) + block2d(128, 256)
    + block2d(384, 128) + block2d(192, 64) + conv(64, 1, 1),
    ("isolation_unet2d", "published"): ronneberger(),
    # ResNet-34 without its classifier has 21,284,672 with three input channels; with the decoder 24,436,369.
    ("resnet_unet", "published"): 24_436_369 - 2 * 49 * 64,
    ("vgg_unet2d", "published"): vgg_unet(),
    ("ts_fcn", "published"): block2d(3, 64) + block2d(64, 128) + block2d(128, 256)
    + conv(256, 4096, 49) + conv(4096, 4096, 1) + conv(4096, 2, 1),
}  # fmt: skip


@pytest.mark.parametrize(("name", "variant"), COUNTS)
def test_published_widths_have_the_number_of_parameters_that_the_layers_give(name, variant):
    with torch.device("meta"):
        network = build_network(name, variant=variant)
    assert sum(parameter.numel() for parameter in network.parameters()) == COUNTS[name, variant]


def test_the_documentation_states_the_counts():
    page = (Path(__file__).resolve().parents[3] / "docs/explanation/networks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\d+) \| ([\d,]+) \|$", page, re.MULTILINE)
    stated = {(name, variant): int(count.replace(",", "")) for name, variant, _, count in rows}
    assert {key: count for key, count in stated.items() if key in COUNTS} == COUNTS
    assert {name for name, _ in stated} == set(network_names())
    assert {name: int(width) for name, _, width, _ in rows} == {name: published_width(name) for name in network_names()}


def test_res_unet_r_derived_by_its_layers_is_the_authors_count_without_unused_layers():
    assert res_unet(1) == COUNTS["res_unet_r", "published"]


@pytest.mark.parametrize("name", NAMES)
def test_stacks_of_any_size_give_probabilities_of_the_same_shape(name):
    network = a_network(name).eval()
    with torch.no_grad():
        answer = network(torch.rand(1, 1, 3, 24, 8))
    assert answer.shape == (1, 1, 3, 24, 8)
    assert answer.dtype == torch.float32
    assert 0 < answer.min() <= answer.max() < 1
    with pytest.raises(ValueError, match=r"takes \(N, 1, D, H, W\)"):
        network(torch.rand(1, 2, 8, 16, 16))


@pytest.mark.parametrize("name", NAMES)
def test_no_convolution_of_single_voxels_has_a_stride(name):
    """On processors with AVX2 but without AVX-512, the weight gradient of such a convolution destroys memory."""
    convolutions = [m for m in a_network(name).modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Conv3d)]
    assert convolutions
    assert [c for c in convolutions if set(c.kernel_size) == {1} and set(c.stride) != {1}] == []


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter(name):
    network = a_network(name).train()
    outputs = network.outputs(torch.rand(1, 1, 2, 32, 32))
    assert all(output.shape == (1, 1, 2, 32, 32) for output in outputs.values())
    sum(output.square().mean() for output in outputs.values()).backward()
    assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_prior_moves_every_output_by_its_log_odds(name):
    network, stack = a_network(name).eval(), torch.rand(1, 1, 1, 32, 32)
    with torch.no_grad():
        network.set_prior(0.5)
        even = network.outputs(stack)
        network.set_prior(0.01)
        rare = network.outputs(stack)
    for key in even:
        assert float((rare[key] - even[key]).mean()) == pytest.approx(float(np.log(0.01 / 0.99)), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vnet", ["mask"]),
        ("res_unet_r", ["mask", "boundary"]),
        ("res_unet_h", ["mask", "boundary"]),
        ("pdv_net", ["progressive1", "progressive2", "mask"]),
    ],
)
def test_outputs_are_named_and_the_mask_is_what_the_network_answers(name, expected):
    network, stack = a_network(name).eval(), torch.rand(1, 1, 8, 16, 16)
    with torch.no_grad():
        outputs = network.outputs(stack)
        assert list(outputs) == expected
        assert torch.equal(torch.sigmoid(outputs["mask"]), network(stack))


def test_the_logits_of_a_softmax_give_the_probability_of_all_classes_but_background():
    scores = torch.randn(2, 6, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(torch.sigmoid(foreground_logits(scores))[:, 0], 1 - scores.softmax(1)[:, 0])
    assert a_network("pdv_net", variant="lobes").class_scores(torch.rand(1, 1, 8, 16, 16)).shape == (1, 6, 8, 16, 16)


@pytest.mark.parametrize("name", ["spread_unet2d", "isolation_unet2d", "resnet_unet", "vgg_unet2d", "ts_fcn"])
def test_a_2d_network_sees_each_slice_alone(name):
    network, stack = a_network(name).eval(), torch.rand(1, 1, 3, 32, 32)
    with torch.no_grad():
        whole, alone = network.logits(stack), network.logits(stack[:, :, 1:2])
    torch.testing.assert_close(whole[:, :, 1:2], alone)


def test_ts_fcn_has_the_sizes_of_the_report():
    seen = []
    network = TSFCN(4)
    network.out.register_forward_hook(lambda _, __, output: seen.append(output.shape[2:]))
    assert network.class_scores(torch.rand(1, 1, 1, 100, 100)).shape == (1, 2, 1, 100, 100)
    assert seen == [(15, 15)]
    assert float(network.bilinear[0, 0].sum()) == pytest.approx(64)  # each score is spread over 8 x 8 pixels


@pytest.mark.parametrize(("name", "spread"), [("res_unet_r", 0.1), ("attention_unet", 0.3)])
def test_the_authors_code_gives_the_same_output_at_equal_weights(name, spread):
    network, random = a_network(name).eval(), np.random.RandomState(7)
    for key, value in sorted([*network.named_parameters(), *network.named_buffers()]):
        drawn = random.standard_normal(tuple(value.shape))
        drawn = np.abs(drawn) + 0.5 if key.endswith("running_var") else drawn * spread
        value.data.copy_(torch.from_numpy(drawn))
    with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as file:
        image, expected = torch.from_numpy(file["input"]), torch.from_numpy(file["output"])
    with torch.no_grad():
        (answer,) = network.maps(image)
    assert float(expected.std()) > 1e-3
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-3 * float(expected.std()))


@pytest.mark.slow
def test_v_net_at_monais_numbers_of_convolutions_is_wired_as_monais_v_net():
    # MONAI applies one more activation per stage than the authors' file, so both networks are compared without any.
    monai = pytest.importorskip("monai.networks.nets")
    torch.manual_seed(2)
    theirs = monai.VNet(out_channels=2, act="prelu", bias=True).eval()
    ours = VNet(16, ((1, 1, 2, 3, 2), (2, 2, 1, 1))).eval()
    for module in [*theirs.modules(), *ours.modules()]:
        if isinstance(module, torch.nn.BatchNorm3d):
            module.eps = 0.0  # with the initial statistics it then changes nothing
        if isinstance(module, torch.nn.PReLU):
            torch.nn.init.ones_(module.weight)
    kinds = (torch.nn.Conv3d, torch.nn.ConvTranspose3d)
    to_copy = [ours.first, *zip(ours.down, ours.left, strict=True), *zip(ours.up, ours.right, strict=True)]
    modules = [part for each in to_copy for part in (each if isinstance(each, tuple) else (each,))]
    mine = [m for part in [*modules, ours.out_conv, ours.out] for m in part.modules() if isinstance(m, kinds)]
    other = [m for m in theirs.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        for target, source in zip(mine, other, strict=True):
            target.weight.copy_(source.weight)
            target.bias.copy_(torch.zeros_like(target.bias) if source.bias is None else source.bias)
        stack = torch.rand(1, 1, 16, 16, 16)
        torch.testing.assert_close(ours.class_scores(stack), theirs(stack), rtol=1e-4, atol=1e-4)
