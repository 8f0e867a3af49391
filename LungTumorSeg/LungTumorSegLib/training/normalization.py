"""Batch normalization with small batches: exact statistics instead of a running average, and freezing them.

With the networks' momentum (0.01, the published one) the statistics lag behind the weights by a hundred steps, and a
batch of four stacks is noisy. Both reduce the accuracy on whole volumes although the training loss looks good.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..networks.blocks import BatchNorm


def trainable_norms(network: nn.Module) -> list[BatchNorm]:
    """Return the network's batch norms, without those of a frozen extractor, which keep their statistics."""
    frozen = {id(m) for m in network.get_submodule("fe").modules()} if hasattr(network, "fe") else set()
    return [m for m in network.modules() if isinstance(m, BatchNorm) and id(m) not in frozen]


def recalibrate(network: nn.Module, forward: Iterable[object]) -> None:
    """Set mean and variance of every trainable batch norm to those over all inputs of ``forward``.

    Args:
        network: The network; its statistics are changed in place.
        forward: An iterable (a generator) that calls the network once per item. During these calls, batch norms use
            each batch's own statistics.
    """
    norms = trainable_norms(network)
    sums: dict[BatchNorm, list[Tensor]] = {}

    def collect(norm: BatchNorm, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].detach().float()
        dims = [d for d in range(x.ndim) if d != 1]
        now = [torch.tensor(1.0), x.mean(dims).double().cpu(), (x * x).mean(dims).double().cpu()]
        sums[norm] = [a + b for a, b in zip(sums[norm], now, strict=True)] if norm in sums else now

    handles = [norm.register_forward_pre_hook(collect) for norm in norms]
    was_training = [norm.training for norm in norms]
    try:
        for norm in norms:
            norm.train()
        with torch.no_grad():
            for _ in forward:
                pass
    finally:
        for handle in handles:
            handle.remove()
        for norm, mode in zip(norms, was_training, strict=True):
            norm.train(mode)
    for norm, (count, mean, square) in sums.items():
        mean, square = mean / count, square / count
        norm.running_mean.copy_(mean)
        norm.running_var.copy_((square - mean * mean).clamp(min=0))


def freeze(network: nn.Module) -> None:
    """Make batch norms use their stored statistics until ``network.train()``; scale and shift are still trained."""
    for norm in trainable_norms(network):
        norm.eval()
