"""The maps of the networks, and what they say about a lesion: its confidence and the range of its volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..core.crops import Crop
from ..core.volume import AxisOrder, Volume
from .measurements import confidence, volume_range_ml

VOXEL_THRESHOLD = 0.5
"""Probability from which a voxel belongs to a lesion, unless the model's manifest states another."""


@dataclass(frozen=True, eq=False)
class Maps:
    """The networks' maps, all on one grid.

    Attributes:
        probability: Tumor probability, 0 to 1.
        disagreement: Standard deviation across stacks, 0 to 1; None if it is not known.
        certainty: Probability that the lesion in a voxel is a tumor, as the second network sees it; None without it.
        threshold: The probability at which the mask of the lesions was cut.
    """

    probability: Volume
    disagreement: Volume | None = None
    certainty: Volume | None = None
    threshold: float = VOXEL_THRESHOLD

    @property
    def volumes(self) -> dict[str, Volume]:
        """The maps that are there, by name."""
        maps = {"probability": self.probability, "disagreement": self.disagreement, "certainty": self.certainty}
        return {name: volume for name, volume in maps.items() if volume is not None}

    def reordered(self, order: AxisOrder) -> Maps:
        """Return the maps with their axes in another order."""
        changed: dict[str, Any] = {name: order.apply(volume) for name, volume in self.volumes.items()}
        return replace(self, **changed)

    def confidence_of(self, lesion: Crop) -> float:
        """Return the confidence in a lesion: that of the second network if it looked at the lesion."""
        if self.certainty is not None:
            return float(lesion.voxels_of(self.certainty).max())
        return confidence(lesion, self.probability, self.disagreement)

    def volume_range_ml(self, lesion: Crop, number: int, labels: Volume) -> tuple[float, float] | None:
        """Return the 5th and 95th percentile of the volume of a lesion, mL; None without the standard deviation.

        Args:
            lesion: The mask of the lesion.
            number: Its label in ``labels``.
            labels: The labels of all lesions.
        """
        if self.disagreement is None:
            return None
        return volume_range_ml(lesion, number, labels, self.probability, self.disagreement, threshold=self.threshold)
