"""Calibrate the second network: from its logits on sources that it was not trained on to probabilities.

The candidates of both networks are compared with the labels of their case. A logistic regression on the measures of
``refinement.measures`` and on the second network's logit is fitted on all of them. Fitted once more without each source
in turn, it estimates how well the probabilities hold on sources that are new to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import MachineLimit, UnusableInput
from ...core.machine import missing_package
from ...core.volume import Array, Float64Array, Mask, Probability, Volume
from ...networks.second_network import SecondNetwork
from ...refinement.calibration import TUMOR_LOGIT, Calibration
from ...refinement.candidates import CORE, Candidate, find_candidates
from ...refinement.look import SecondReader
from ...refinement.measures import Surroundings, measures_of
from ...refinement.views import Anatomy, side_for_extent
from ..store import IGNORED, LUNG_BIT
from .cases import LookCase, Scan

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

SMALLEST_ML = 0.04
"""Smallest volume of the core of a candidate, mL."""

IGNORED_SHARE = 0.3
"""Share of ignored voxels in its core above which the nature of a candidate is unknown."""

OF_CORE, OF_LESION = 0.15, 0.3
"""Shares of the core and of the lesion, one of which the overlap must reach for a candidate to be that lesion."""

INVERSE_PENALTY = 0.5
"""Inverse strength of the penalty (L2) on the coefficients of the standardized measures."""

DECISION = 0.5
"""Probability from which a candidate counts as a tumor in the summary."""


@dataclass(frozen=True)
class Judged:
    """A candidate with what it is.

    Attributes:
        source: Where the patient comes from.
        case: Name of the case.
        tumor: Whether it is a labeled or implanted lesion.
        measures: The measures, with the second network's logit, by name.
    """

    source: str
    case: str
    tumor: bool
    measures: dict[str, float]


def judged_candidates(network: SecondNetwork, case: LookCase) -> Iterator[Judged]:
    """Look at all candidates of a case and of its copies with implanted lesions.

    Args:
        network: A second network in evaluation mode that was not trained on the case's source.
        case: The case.

    Yields:
        The candidates whose nature is known.
    """
    yield from _of_scan(network, case, case.scan, case.ct, (case.region & LUNG_BIT) > 0)
    for scan in case.implanted:
        yield from _of_scan(network, case, scan, scan.volume("hu"), scan.lungs)


def _of_scan(network: SecondNetwork, case: LookCase, scan: Scan, ct: Volume, lungs: Mask) -> Iterator[Judged]:
    """Look at the candidates of a scan in ``ct``, which has the same content and may be finer."""
    reader = SecondReader(network, ct, Anatomy.of(ct, lungs))
    hu = Volume(scan.hu.astype(np.float32), scan.affine)
    around = Surroundings(hu, scan.lungs, scan.probability, scan.deviation)
    for candidate in find_candidates(scan.volume("probability"), min_ml=SMALLEST_ML):
        tumor = nature_of(candidate, scan.probability, scan.label)
        if tumor is None:
            continue
        look = reader.look(candidate.center, side_for_extent(candidate.extent_mm))
        measures = {**measures_of(candidate, around), TUMOR_LOGIT: look.tumor_logit}
        yield Judged(case.source, case.id, tumor, measures)


def nature_of(candidate: Candidate, probability: Probability, label: Array) -> bool | None:
    """Return whether a candidate is a lesion of the label; None if too much of it is ignored.

    Args:
        candidate: The candidate.
        probability: The first network's probability (slice, row, column) on the working grid.
        label: Labels on the same grid: 0, 1 ... n, ``IGNORED``.
    """
    here = candidate.region.slices
    values = label[here][candidate.region.mask.array & (probability[here] > CORE)]
    if (values == IGNORED).mean() > IGNORED_SHARE:
        return None
    of_lesions = values[(values > 0) & (values != IGNORED)]
    if not len(of_lesions):
        return False
    lesion = int(np.bincount(of_lesions).argmax())
    return bool(
        len(of_lesions) >= OF_CORE * len(values) or len(of_lesions) >= OF_LESION * np.count_nonzero(label == lesion)
    )


def fit(candidates: Sequence[Judged], names: Sequence[str]) -> Calibration:
    """Fit a calibration in which tumors and others weigh equally as groups, however many there are of each.

    Args:
        candidates: Candidates, tumors and others.
        names: The measures to use.

    Returns:
        The coefficients of the measures in their own units.

    Raises:
        UnusableInput: There are no tumors among the candidates, or only tumors.
        MachineLimit: scikit-learn is not installed.
    """
    model = _fitted(candidates, names)
    scaler, regression = model[0], model[1]
    weights = regression.coef_[0] / scaler.scale_
    intercept = float(regression.intercept_[0] - weights @ scaler.mean_)
    return Calibration(intercept, {name: float(weight) for name, weight in zip(names, weights, strict=True)})


def leave_one_source_out(candidates: Sequence[Judged], names: Sequence[str]) -> Float64Array:
    """Return the probability of each candidate (n,) from a calibration that was fitted without its source.

    Raises:
        UnusableInput: Without a source, there are no tumors among the candidates, or only tumors.
        MachineLimit: scikit-learn is not installed.
    """
    sources = np.array([each.source for each in candidates])
    probabilities = np.full(len(candidates), np.nan)
    for source in np.unique(sources):
        calibration = fit([each for each in candidates if each.source != source], names)
        for index in np.flatnonzero(sources == source).tolist():
            probabilities[index] = calibration.probability(candidates[index].measures)
    return probabilities


def summary(candidates: Sequence[Judged], probabilities: Float64Array) -> dict[str, Any]:
    """Summarize probabilities that were estimated without the candidates' own sources.

    Returns:
        ``auc`` (area under the ROC curve), and by source the numbers of tumors and others, and of those kept at the
        probability ``DECISION``.

    Raises:
        MachineLimit: scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise MachineLimit(missing_package(error)) from error
    tumor = np.array([each.tumor for each in candidates])
    sources, kept = np.array([each.source for each in candidates]), probabilities > DECISION
    by_source = {}
    for source in np.unique(sources).tolist():
        here = sources == source
        by_source[source] = {
            "tumors": int((tumor & here).sum()),
            "tumors_kept": int((tumor & here & kept).sum()),
            "others": int((~tumor & here).sum()),
            "others_kept": int((~tumor & here & kept).sum()),
        }
    return {"auc": round(float(roc_auc_score(tumor, probabilities)), 4), "sources": by_source}


def _fitted(candidates: Sequence[Judged], names: Sequence[str]) -> Pipeline:
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise MachineLimit(missing_package(error)) from error
    tumor = [each.tumor for each in candidates]
    if len(set(tumor)) < 2:
        raise UnusableInput(
            "A calibration needs candidates that are tumors and candidates that are not, also without each single "
            "source; add sources to second_look.folds."
        )
    values = [[each.measures[name] for name in names] for each in candidates]
    return make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced")).fit(
        values, tumor
    )
