"""Gradients of convolutions in bfloat16 on a CPU, which oneDNN gets wrong on large slices."""

import pytest
import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks import convolution as convolution_module
from LungTumorSegLib.networks.blocks import Upsampling, pool
from LungTumorSegLib.networks.convolution import SAFE_SIDE, Convolution3d, convolution
from LungTumorSegLib.networks.multires_blocks import ConvBatchNorm, MultiResBlock, ResPathUnit, kernels_kept

LONG_SIDE = SAFE_SIDE + 32


def gradients(conv, image, answer_gradient, dtype):
    conv.zero_grad()
    image = image.detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        answer = conv(image)
    assert answer.dtype == dtype
    answer.backward(answer_gradient.to(dtype))
    return image.grad, *(parameter.grad.clone() for parameter in conv.parameters())


def a_case(in_channels, out_channels, kernel, size, **options):
    """A convolution, its input and its output's gradient, all exact in bfloat16: the two precisions then differ by
    their sums alone."""
    torch.manual_seed(5)
    conv = convolution(3, in_channels, out_channels, kernel, **options)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(parameter.bfloat16())
    image = torch.randn(1, in_channels, 3, *size).bfloat16().float()
    return conv, image, torch.randn(1, out_channels, 3, *size).bfloat16().float()


@pytest.mark.parametrize("size", [(8, LONG_SIDE), (LONG_SIDE, 8)])
@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel", "bias"), [(1, 25, 1, False), (8, 13, 3, True), (51, 32, 3, False)]
)
def test_weight_gradients_on_large_slices_are_those_of_single_precision(in_channels, out_channels, kernel, bias, size):
    case = a_case(in_channels, out_channels, kernel, size, bias=bias)
    exact, mixed = gradients(*case, torch.float32), gradients(*case, torch.bfloat16)
    torch.testing.assert_close(
        mixed[0], exact[0], rtol=0, atol=0.02 * exact[0].abs().max().item()
    )  # bfloat16 keeps 8 bits
    for half, single in zip(mixed[1:], exact[1:], strict=True):
        assert half.dtype == torch.float32
        torch.testing.assert_close(
            half, single, rtol=0, atol=1e-5 * single.abs().max().item()
        )  # a bfloat16 gradient is 1e-3 off


def test_small_slices_keep_the_fast_bfloat16_gradient():
    case = a_case(8, 13, 3, (8, SAFE_SIDE))
    exact, half = gradients(*case, torch.float32)[1], gradients(*case, torch.bfloat16)[1]
    assert 0 < (half - exact).abs().max() < 0.02 * exact.abs().max()
    assert torch.equal(half, half.bfloat16().float())


def test_single_precision_is_torchs_own_convolution():
    conv, image, gradient = a_case(8, 13, 3, (8, LONG_SIDE))
    plain = torch.nn.Conv3d(8, 13, 3, padding=1)
    plain.load_state_dict(conv.state_dict())
    assert isinstance(conv, Convolution3d)
    for ours, theirs in zip(
        gradients(conv, image, gradient, torch.float32), gradients(plain, image, gradient, torch.float32), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_batch_norm_with_fixed_statistics_in_the_kernel_changes_neither_answer_nor_gradient(dims):
    torch.manual_seed(6)
    block = ConvBatchNorm(dims, 5, 7, 3)
    with torch.no_grad():
        block.bn.running_mean.normal_()
        block.bn.running_var.uniform_(0.5, 2)
        block.bn.bias.normal_()
    block.eval()
    image = torch.randn(2, 5, *(3, 8, 16)[-dims:])
    folded, apart = block(image), block.bn(block.conv(image))
    torch.testing.assert_close(folded, apart, rtol=1e-5, atol=1e-5)
    weight = torch.randn_like(folded)
    gradients = [
        torch.autograd.grad((answer * weight).sum(), [block.conv.weight, block.bn.bias]) for answer in (folded, apart)
    ]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [(1, 4), (3, 16), (16, 1), (33, 8)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_inference_in_float32_equals_torchs_own_convolution(channels, kernel):
    conv = convolution(3, *channels, kernel).eval()
    x = torch.randn(1, channels[0], 8, 12, 10, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.conv3d(x, conv.weight, conv.bias, padding=kernel // 2)
    with torch.inference_mode():
        torch.testing.assert_close(conv(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
def test_inference_in_float32_avoids_the_slow_kernel():
    network = build_network("sff_multires_unet3d", 8).eval()
    with torch.inference_mode(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        network(torch.rand(1, 1, 8, 16, 16))
    names = {event.key for event in profile.key_averages()}
    assert "aten::mkldnn_convolution" in names
    assert not any("slow_conv3d" in name for name in names)
    assert not any("slow_conv_transpose3d" in name for name in names)


def with_statistics(block):
    """Give all batch norms of a block statistics that change something; return the block for inference."""
    with torch.no_grad():
        for name, values in block.named_buffers():
            values.uniform_(0.5, 2) if name.endswith("var") else values.normal_()
    return block.eval()


@pytest.mark.parametrize("size", [(16, 24), (40, 48)])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", [MultiResBlock, ResPathUnit, Upsampling])
def test_operations_in_one_pass_give_what_they_give_one_by_one(monkeypatch, kind, dims, size):
    torch.manual_seed(7)
    block = with_statistics(kind(dims, 17, 8))
    x = torch.randn(8 if dims == 2 else 1, 17, *(8, *size)[-dims:])
    x = x.contiguous(memory_format=torch.channels_last if dims == 2 else torch.channels_last_3d)
    with torch.inference_mode():
        together = block(x)
        monkeypatch.setattr(convolution_module, "_fuses", lambda _: False)
        one_by_one = block(x)
    torch.testing.assert_close(together, one_by_one, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not convolution_module._fuses(torch.float32), reason="this torch has no such operations")
def test_inference_in_float32_rectifies_in_the_pass_of_the_convolution():
    block = with_statistics(MultiResBlock(3, 4, 8))
    x = torch.randn(1, 4, 8, 16, 16)
    with torch.inference_mode(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        block(x)
    assert not {event.key for event in profile.key_averages()} & {"aten::relu_", "aten::clamp_min_"}


FUSES_BFLOAT16 = convolution_module._fuses(torch.bfloat16)


@pytest.mark.skipif(not FUSES_BFLOAT16, reason="this processor or this torch has no such operations")
def test_inference_in_bfloat16_rectifies_in_the_pass_of_the_convolution():
    block = with_statistics(MultiResBlock(3, 4, 8))
    x = torch.randn(1, 4, 8, 16, 16).contiguous(memory_format=torch.channels_last_3d)
    with (
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16),
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile,
    ):
        assert block(x).dtype == torch.bfloat16
    assert not {event.key for event in profile.key_averages()} & {"aten::relu_", "aten::clamp_min_"}


@pytest.mark.skipif(not FUSES_BFLOAT16, reason="this processor or this torch has no such operations")
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("channels", [1, 17])
@pytest.mark.parametrize("kind", [MultiResBlock, ResPathUnit, Upsampling])
def test_operations_in_one_pass_are_as_exact_in_bfloat16_as_one_by_one(monkeypatch, kind, channels, ordered):
    torch.manual_seed(8)
    block = with_statistics(kind(3, channels, 8))
    x = torch.randn(1, channels, 8, 16, 24)
    if ordered:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        exact = block(x)
        with torch.autocast("cpu", torch.bfloat16):
            together = block(x).float()
            monkeypatch.setattr(convolution_module, "_fuses", lambda _: False)
            one_by_one = block(x).float()
    assert (together - exact).abs().mean() <= 1.1 * (one_by_one - exact).abs().mean()


@pytest.mark.parametrize("size", [(16, 24), (15, 24), (16, 23)])
@pytest.mark.parametrize("dims", [2, 3])
def test_pooling_is_the_same_where_nothing_is_trained(dims, size):
    x = torch.randn(2, 3, *(4, *size)[-dims:], generator=torch.Generator().manual_seed(3))
    trained = pool(x.clone().requires_grad_())
    with torch.inference_mode():
        assert torch.equal(pool(x), trained)


def test_kernels_are_kept_for_a_while_only():
    block = with_statistics(ConvBatchNorm(3, 2, 3, 3))
    x = torch.randn(1, 2, 8, 8, 8)
    with torch.inference_mode():
        before = block(x)
        with kernels_kept(block):
            assert torch.equal(block(x), before)
        with pytest.raises(KeyError), kernels_kept(block):
            raise KeyError
        block.bn.running_mean -= 1 / torch.rsqrt(block.bn.running_var + block.bn.eps)
        torch.testing.assert_close(block(x), before + 1)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("lowest", [0.2, -0.5])
def test_a_kept_multires_block_needs_one_batch_norm_only_where_its_scale_allows(monkeypatch, dims, lowest):
    torch.manual_seed(9)
    block = with_statistics(MultiResBlock(dims, 5, 8))
    passes = []
    plain = torch.nn.functional.batch_norm
    monkeypatch.setattr(torch.nn.functional, "batch_norm", lambda *args: passes.append(1) or plain(*args))
    with torch.no_grad():
        block.bn_cat.weight.uniform_(0.2, 2)
        block.bn_cat.weight[3] = lowest
        block.bn_cat.bias.normal_()
    x = torch.randn(2, 5, *(8, 16, 16)[-dims:])
    with torch.inference_mode():
        expected = block(x)
        passes.clear()
        with kernels_kept(block):
            torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)
        assert len(passes) == (1 if lowest > 0 else 2)
    assert block.kept is None
