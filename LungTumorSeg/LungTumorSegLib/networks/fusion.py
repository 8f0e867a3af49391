"""Spatial feature fusion: a frozen 2D encoder supplies features of each slice to the 3D network at three scales.

Training has two stages: first the 2D network, then the 3D network with the encoder of the trained 2D network.

References:
    Najeeb and Bhuiyan 2022, doi:10.1016/j.bspc.2022.103996.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .blocks import channels_last, pool, slices_of, stack_of
from .contract import Network
from .unet import LEVELS, Encoder, EncoderDecoder, Family


class FeatureExtractor(Encoder):
    """Compute 2D features of slices with the frozen encoder of a 2D network.

    The extractor turns slices (N, 1, H, W) into the pooled outputs of its levels, at 1/2, 1/4 and 1/8 of the size.

    Its parameters take no gradient and its batch norms stay in inference mode. Its channel dropout is not frozen,
    because ``training=True`` reaches the dropout in the published Keras graphs. In training, every map below the first
    is therefore noisy. Each map has its own noise, which is drawn again on the way down from the clean first map.
    """

    def __init__(self, family: Family, width: int, levels: int = LEVELS) -> None:
        super().__init__(family, 2, width, levels)
        self.noisy_in_training = family.dropout > 0
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Set the training mode, which affects only the dropout; the blocks stay in inference mode."""
        super().train(mode)
        for block in self.blocks:
            block.eval()
        return self

    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the feature maps of slices (N, 1, H, W), finest first."""
        maps = [pool(self.blocks[0](channels_last(slices)))]
        blocks = self.blocks
        for level in range(1, len(blocks)):
            first = 1 if self.training and self.noisy_in_training else level
            x = maps[first - 1]
            for block in blocks[first : level + 1]:
                x = pool(block(self.drop(x)))
            maps.append(x)
        return tuple(maps)


class FusionNetwork(EncoderDecoder):
    """Combine a 3D network with the 2D features of each slice, which join its levels below the first.

    The frozen extractor is the module ``fe``. In inference mode, the features of a slice depend on that slice alone, so
    overlapping stacks can share them.
    """

    def __init__(self, family: Family, width: int, fused_levels: int = LEVELS) -> None:
        extractor = FeatureExtractor(family, width, fused_levels)
        fused = extractor.block_channels + (0,) * (LEVELS - fused_levels)
        super().__init__(family, 3, width, fused)
        self.fe = extractor

    def features(self, slices: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the 2D features F1, F2 and F3 of slices (N, 1, H, W).

        Each has the shape (N, C, h, w), at 1/2, 1/4 and 1/8 of the size.
        """
        return self.fe(slices)

    def stack_features(self, stack: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the 2D features of the slices of a stack (N, 1, D, H, W), each of shape (N, C, D, h, w)."""
        return tuple(stack_of(maps, depth=stack.shape[2]) for maps in self.features(slices_of(stack)))

    def forward(self, stack: torch.Tensor, features: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """Return the tumor probability of a stack.

        Args:
            stack: Stack (N, 1, D, H, W).
            features: 2D features of its slices, each (N, C, D, h, w). If None, the network computes them.

        Returns:
            Probability (0 to 1) of the same shape as the stack.
        """
        return torch.sigmoid(self.logits(stack, features))

    def logits(self, stack: torch.Tensor, features: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """Return what ``forward`` returns, before the sigmoid."""
        self._check(stack)
        return self._logits(stack, self.stack_features(stack) if features is None else features)

    def load_extractor(self, network_2d: Network) -> None:
        """Take over the encoder weights of a trained 2D network of the same family and width.

        Raises:
            ValueError: The 2D network is of another family or width.
        """
        own = self.fe.state_dict()
        theirs = network_2d.state_dict()
        if any(name not in theirs or theirs[name].shape != own[name].shape for name in own):
            raise ValueError(
                "The encoder of the 2D network does not match: it must have the same family and width as this network."
            )
        self.fe.load_state_dict({name: theirs[name] for name in own})
