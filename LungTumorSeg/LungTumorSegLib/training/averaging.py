"""Averages of weights: the moving average during one training, and the mean of several networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """The exponential moving average of the trained weights of a network.

    The decay rises from 0.1 to its final value, (1 + n) / (10 + n) after n updates, so that early weights are soon
    forgotten. An average that has never been updated stands for the weights of the network itself.

    References:
        Polyak and Juditsky 1992, doi:10.1137/0330046.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Average the weights of ``network`` that are trained; a decay of 0 averages nothing."""
        self._weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        self._decay, self.updates = decay, 0
        self._mean: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights into account."""
        if not self._decay:
            return
        if not self._mean:
            self._mean = {name: weight.detach().clone() for name, weight in self._weights.items()}
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        for name, weight in self._weights.items():
            self._mean[name].lerp_(weight, 1 - decay)
        self.updates += 1

    def state(self) -> dict[str, Tensor]:
        """Return the averaged weights by name; empty before the first update."""
        return self._mean

    def restore(self, mean: dict[str, Tensor], updates: int) -> None:
        """Continue from what ``state`` returned after this number of updates."""
        self._mean = {name: value.to(self._weights[name].device) for name, value in mean.items()}
        self.updates = updates

    @torch.no_grad()
    def apply(self) -> None:
        """Give the network the averaged weights."""
        for name, value in self._mean.items():
            self._weights[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the network the averaged weights for the duration of a ``with`` block."""
        kept = {name: self._weights[name].detach().clone() for name in self._mean}
        self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    self._weights[name].copy_(value)


def give_mean(network: nn.Module, networks: Sequence[nn.Module], shares: Sequence[float] = ()) -> None:
    """Give ``network`` the mean of the weights and statistics of networks of the same kind.

    Args:
        network: Changed in place.
        networks: The networks; ``network`` may be one of them.
        shares: Weight of each network, in any unit; by default all weigh the same.
    """
    states = [each.state_dict() for each in networks]
    weight = torch.tensor(shares or [1.0] * len(networks), dtype=torch.float64)
    weight /= weight.sum()
    mean = {
        name: torch.tensordot(weight, torch.stack([state[name].double() for state in states]), 1).to(kept.dtype)
        for name, kept in network.state_dict().items()
    }
    network.load_state_dict(mean)
