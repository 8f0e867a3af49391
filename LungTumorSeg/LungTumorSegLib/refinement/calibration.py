"""From what both networks say about a candidate to the probability that it is a tumor.

The probability comes from a logistic regression on a few measures. It was fitted on scans that the second network had
not seen; the first network was trained on four of them. True and false candidates weigh the same, so the probability is
that at equal numbers of both. The coefficients are stored in the model's manifest as plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

TUMOR_LOGIT = "tumor_logit"
"""Name of the measure that the second network gives; a click has no other."""

MOST_MEASURES = 32


@dataclass(frozen=True)
class Calibration:
    """A logistic regression.

    Attributes:
        intercept: The constant.
        weights: Coefficient of each measure by its name.
    """

    intercept: float
    weights: Mapping[str, float]

    def probability(self, measures: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1, for the measures of one candidate.

        Raises:
            KeyError: A measure is missing.
        """
        logit = self.intercept + sum(weight * measures[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))

    @classmethod
    def from_json(cls, values: object) -> Calibration:
        """Return a calibration from its values in a manifest.

        Raises:
            ValueError: The values are not numbers by name.
        """
        if not isinstance(values, dict) or set(values) != {"intercept", "weights"}:
            raise ValueError("a calibration needs intercept and weights")
        weights = values["weights"]
        if not isinstance(weights, dict) or not 1 <= len(weights) <= MOST_MEASURES:
            raise ValueError("a calibration needs weights by name")
        numbers = {str(name): _number(value) for name, value in weights.items()}
        return cls(_number(values["intercept"]), numbers)


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("the numbers of a calibration must be finite")
    return float(value)
