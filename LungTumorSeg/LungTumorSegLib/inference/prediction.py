"""What the first network predicts for a CT, on its working grid and on the CT's grid."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.computed import ComputedVolume
from ..core.volume import Float32Array, Probability, Volume
from .grid import WorkingGrid
from .stacks import StackStatistics


@dataclass(frozen=True, eq=False)
class Prediction:
    """The statistics of the stacks of a CT, with the grid on which they lie.

    Attributes:
        grid: The working grid.
        mean: Mean tumor probability across stacks (slice, row, column), 0 to 1, on the working grid.
        deviation: Population standard deviation across stacks, of the same shape.
    """

    grid: WorkingGrid
    mean: Probability
    deviation: Float32Array

    @classmethod
    def of(cls, grid: WorkingGrid, maps: StackStatistics) -> Prediction:
        """Return the statistics of the stacks of a working grid."""
        return cls(grid, maps.mean, maps.deviation())

    @property
    def suspected(self) -> Volume:
        """The mean probability on the working grid."""
        return self.grid.image.with_array(self.mean)

    @property
    def probability(self) -> ComputedVolume:
        """The mean probability on the CT's grid."""
        return self.grid.carry_back(self.mean)

    @property
    def disagreement(self) -> ComputedVolume:
        """The standard deviation on the CT's grid."""
        return self.grid.carry_back(self.deviation)
