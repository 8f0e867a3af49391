"""What every network offers to inference and training, and the base classes of networks that work on stacks.

A network maps a stack (N, 1, D, H, W) to the tumor probability of the same shape. ``StackNetwork`` adds what networks
from other papers need: padding to a size that they can halve, and several output maps. ``SliceNetwork`` lets a 2D
network process the slices of a stack one by one.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .blocks import channels_last, initialize_convolutions, slices_of, stack_of
from .convolution import Dims

MASK = "mask"
"""Name of the output that predicts tumor; every network has it."""

BOUNDARY = "boundary"
"""Name of the output that predicts the boundary of the lesions."""


class Network(nn.Module):
    """A network that computes tumor probability.

    Attributes:
        dims: 2 if the network takes slices (N, 1, H, W), 3 if it takes stacks (N, 1, D, H, W).
    """

    dims: Dims

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the tumor probability (0 to 1) of an image or stack, with the same shape."""
        return torch.sigmoid(self.logits(image))

    @abstractmethod
    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return the values before the sigmoid, float32, with the shape of ``image``."""

    def outputs(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the logits of every output that is trained, by name; ``mask`` is what ``logits`` returns.

        Each has the shape of ``image``. All outputs predict the tumor, except ``boundary``. A network that was built
        for several classes returns their scores (N, classes, ...) instead.
        """
        return {MASK: self.logits(image)}

    @abstractmethod
    def prior_biases(self) -> Sequence[torch.Tensor]:
        """Return the biases (or views of them) that are added to the logits of the outputs."""

    def set_prior(self, prior: float) -> None:
        """Set the output biases to log(p / (1 - p)), so that the untrained network predicts about ``prior``.

        Args:
            prior: The expected share of tumor voxels, above 0 and below 1.
        """
        for bias in self.prior_biases():
            nn.init.constant_(bias, math.log(prior / (1 - prior)))

    @torch.no_grad()
    def shift_output(self, logit: float) -> None:
        """Add a number to the logits of all outputs."""
        for bias in self.prior_biases():
            bias += logit


class StackNetwork(Network):
    """A network with one or several output maps that takes stacks of any size.

    The stack is padded with zeros (air) at its end until the network can halve it as often as it must. The maps are
    cropped to the stack again.

    Attributes:
        multiple: The padded size is a multiple of these, along (slice, row, column).
    """

    dims: Dims = 3
    multiple: tuple[int, int, int] = (1, 8, 8)

    @abstractmethod
    def _maps(self, stack: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the output maps, each (N, C, D, H, W), of a padded stack (N, 1, D, H, W)."""

    def maps(self, stack: torch.Tensor) -> list[torch.Tensor]:
        """Return all output maps of a stack (N, 1, D, H, W).

        Returns:
            Maps (N, C, D, H, W), float32; the class of the network says what their channels are.

        Raises:
            ValueError: The shape is not that of a stack.
        """
        if stack.ndim != 5 or stack.shape[1] != 1 or 0 in stack.shape:
            raise ValueError(f"The network takes (N, 1, D, H, W), but got an array of shape {tuple(stack.shape)}.")
        depth, height, width = size = stack.shape[2:]
        missing = [-length % multiple for length, multiple in zip(size, self.multiple, strict=True)]
        padding = [amount for axis in reversed(missing) for amount in (0, axis)]
        padded = functional.pad(stack, padding) if any(missing) else stack
        return [
            found[:, :, :depth, :height, :width].to(torch.promote_types(found.dtype, torch.float32))
            for found in self._maps(channels_last(padded))
        ]


class ClassNetwork(StackNetwork):
    """A stack network whose maps contain one score per class; channel 0 is background.

    The softmax of the scores gives the probabilities of the classes.
    """

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of "any class but background" by the last map."""
        return foreground_logits(self.maps(image)[-1])

    def class_scores(self, stack: torch.Tensor) -> torch.Tensor:
        """Return the scores (N, classes, D, H, W) before the softmax."""
        return self.maps(stack)[-1]


class SliceNetwork(StackNetwork):
    """A 2D network with one output map that processes each slice of a stack on its own."""

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of a stack (N, 1, D, H, W), with the same shape."""
        return self.maps(image)[0]

    def _maps(self, stack: torch.Tensor) -> list[torch.Tensor]:
        return [stack_of(self._slice_map(channels_last(slices_of(stack))), depth=stack.shape[2])]

    @abstractmethod
    def _slice_map(self, slices: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, 1, H, W) of slices (N, 1, H, W)."""


def foreground_logits(scores: torch.Tensor) -> torch.Tensor:
    """Return the logits (N, 1, ...) of all classes but the first from the scores (N, classes, ...) of a softmax.

    With two classes, this is the difference of the two scores.
    """
    return torch.logsumexp(scores[:, 1:], dim=1, keepdim=True) - scores[:, :1]


def output_bias(layer: nn.Module, *, first: int = 0) -> torch.Tensor:
    """Return the bias of a layer, from channel ``first`` on, as a view that may be changed in place.

    Raises:
        TypeError: The layer has no bias.
    """
    bias = layer.bias
    if not isinstance(bias, torch.Tensor):
        raise TypeError(f"{type(layer).__name__} has no bias.")
    return bias[first:]


def initialize_as_he(network: nn.Module) -> None:
    """Initialize all convolutions as He et al. 2015 (arXiv:1502.01852), with zero biases."""
    initialize_convolutions(network, lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"))


def scale_filters(width: int, published: int, *filters: int) -> list[int]:
    """Return published numbers of filters, scaled to another width, each at least 1.

    Args:
        width: The wanted number of filters of the first level.
        published: The published number of filters of the first level.
        filters: Published numbers of filters.
    """
    return [max(1, round(count * width / published)) for count in filters]
