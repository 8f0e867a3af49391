"""The optimization of a network: a step of gradient descent, the averaged weights, and the checkpoint of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim

from ..inference.device import autocast
from ..networks.contract import Network
from .averaging import MovingAverage
from .checkpoint import load_average, load_checkpoint, save_checkpoint
from .config import StageConfig
from .distributed import SharedNetwork, gather_rows, joint_backward
from .losses import Loss, supervised_loss
from .precision import channels_last, prepare_network
from .store import IGNORED

AVERAGED = "averaged"
"""Entry of a checkpoint's state: the number of weights in the moving average."""


class AveragedOptimizer:
    """An optimizer of a network, together with the moving average of the weights.

    Attributes:
        average: The moving average of its weights; only the steps that ask for it are taken into account.
    """

    def __init__(self, network: nn.Module, optimizer: optim.Optimizer, *, clip: float, ema: float) -> None:
        """Begin an optimization.

        Args:
            network: The network; it is on its device, and is changed in place.
            optimizer: The optimizer of its weights.
            clip: Largest norm of the gradient; longer gradients are scaled down.
            ema: Decay of the moving average; 0 averages nothing.
        """
        self._network, self._optimizer, self._clip = network, optimizer, clip
        self._trainable = [p for group in optimizer.param_groups for p in group["params"]]
        self.average = MovingAverage(network, ema)

    def descend(self, loss: Tensor, rate: float, *, averaged: bool = True) -> float:
        """Take one step down the gradient of a loss, together with all processes.

        Args:
            loss: The loss of the samples of all processes.
            rate: The learning rate.
            averaged: Whether the moving average takes the new weights into account.

        Returns:
            The loss as a number.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad()
        joint_backward(loss)
        nn.utils.clip_grad_norm_(self._trainable, self._clip)
        self._optimizer.step()
        if averaged:
            self.average.update()
        return float(loss.detach())

    def save(self, path: Path, state: Mapping[str, Any]) -> None:
        """Write a checkpoint of weights, average and optimizer, with ``state``, anything that JSON can hold.

        Raises:
            MachineLimit: The disk refuses the file.
        """
        state = {**state, AVERAGED: self.average.updates}
        save_checkpoint(path, self._network, self._optimizer, state, self.average.state())

    def resume(self, path: Path) -> dict[str, Any]:
        """Continue from a checkpoint that ``save`` wrote, and return its state.

        Raises:
            MachineLimit: The file is damaged or belongs to another network.
        """
        state = load_checkpoint(path, self._network, self._optimizer)
        self.average.restore(load_average(path), state.pop(AVERAGED, 0))
        return state


class Optimization(AveragedOptimizer):
    """A network of stacks or slices and its Adam optimizer: steps from samples and their labels.

    Attributes:
        network: The network.
    """

    def __init__(
        self, network: Network, stage: StageConfig, *, device: torch.device, precision: str, lobes: bool = False
    ) -> None:
        """Move ``network`` to ``device`` and prepare it for training.

        Args:
            network: The network; it is changed in place.
            stage: Supplies the first learning rate, the limit of the gradient and the decay of the average.
            device: Where to compute.
            precision: The precision of the computation.
            lobes: Whether labels are those of lobes, instead of tumor.
        """
        self.network, self._device, self._precision, self._lobes = network, device, precision, lobes
        prepare_network(network, device)
        self._shared = SharedNetwork(network)
        trainable = [p for p in network.parameters() if p.requires_grad]
        super().__init__(network, optim.Adam(trainable, stage.learning_rate), clip=stage.clip, ema=stage.ema)

    def step(self, image: Tensor, label: Tensor, *, rate: float, loss_of: Loss, seed: int, averaged: bool) -> float:
        """Take one step, together with all processes.

        Args:
            image: Samples of this process (N, D, H, W), 0 to 1.
            label: Their labels (N, D, H, W), uint8: see ``network_target``.
            rate: The learning rate.
            loss_of: The loss.
            seed: Seed of the dropout, so that a resumed training repeats itself.
            averaged: Whether the moving average takes the new weights into account.

        Returns:
            The loss of the samples of all processes, before the step.
        """
        torch.manual_seed(seed)
        dims = self.network.dims
        target, valid = network_target(gather_rows(label.to(self._device)), dims, lobes=self._lobes)
        with autocast(self._device, self._precision):
            outputs = self._shared.outputs(network_input(image.to(self._device), dims))
        loss = supervised_loss(loss_of, outputs, target, valid)
        return self.descend(loss, rate, averaged=averaged)

    def logits(self, image: Tensor) -> Tensor:
        """Return the logits of samples (N, D, H, W), 0 to 1, in the network's shape."""
        with autocast(self._device, self._precision):
            return self.network.logits(network_input(image.to(self._device), self.network.dims))


def network_input(image: Tensor, dims: int) -> Tensor:
    """Return samples (N, D, H, W) in the network's shape.

    It is (N, 1, D, H, W) for a network of stacks (``dims`` 3) and (N D, 1, H, W) for one of slices (``dims`` 2).
    """
    return channels_last((image.flatten(0, 1) if dims == 2 else image)[:, None])


def network_target(label: Tensor, dims: int, *, lobes: bool = False) -> tuple[Tensor, Tensor]:
    """Return what the network should answer, and where that counts.

    Args:
        label: Labels (N, D, H, W), uint8: 1 for tumor, or the number of a lobe; ``IGNORED`` where nothing counts.
        dims: 2 or 3, the dimensions of the network.
        lobes: Whether the labels are numbers of lobes.

    Returns:
        The target, and float32 with 1 where it counts and 0 elsewhere. The target of tumor is float32, and both have
        the shape of ``network_input``. The target of lobes has class numbers (int64), and both are (N, D, H, W).
    """
    valid = label != IGNORED
    if lobes:
        return (label * valid).long(), valid.float()
    if dims == 2:
        label, valid = label.flatten(0, 1), valid.flatten(0, 1)
    return (label == 1).float()[:, None], valid.float()[:, None]
