"""Response by RECIST 1.1 (E. A. Eisenhauer et al., Eur J Cancer 45:228, 2009, doi:10.1016/j.ejca.2008.10.026).

The section numbers are those of the publication. "Clarification" names answers of the RECIST working group (L. H.
Schwartz et al., Eur J Cancer 62:132, 2016, doi:10.1016/j.ejca.2016.03.081, and recist.eortc.org). The functions are
pure: they take diameters and return a category with the rules that led to it. Each category is that of one examination;
whether a response is confirmed by a second one (section 4.6) is not considered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Category = Literal["CR", "PR", "SD", "PD", "NE", "non-CR/non-PD"]

# The values below are those of RECIST 1.1. With other values the result must no longer be named after it.

LEAST_TARGET_MM = 10.0
"""Smallest long axis of a target lesion, mm (section 3.1.1)."""

LEAST_NODE_MM = 15.0
"""Smallest short axis of a target node, mm (section 3.1.1)."""

NORMAL_NODE_MM = 10.0
"""Short axis below which a node is normal, mm (section 4.3.1)."""

SLICES_PER_TARGET = 2.0
"""A target lesion is at least this many times as long as a slice is thick (section 3.1.1), for slices above 5 mm."""

MOST_TARGETS = 5
"""Largest number of target lesions (section 4.2)."""

MOST_PER_ORGAN = 2
"""Largest number of target lesions per organ (section 4.2)."""

PARTIAL_PERCENT = -30.0
"""Change of the sum of diameters from baseline up to which the response is partial, % (section 4.3.1)."""

PROGRESS_PERCENT = 20.0
"""Change of the sum of diameters from its smallest value from which the disease progresses, % (section 4.3.1)."""

PROGRESS_MM = 5.0
"""Increase of the sum of diameters that progression needs besides, mm (section 4.3.1)."""

VOLUME_PARTIAL_PERCENT, VOLUME_PROGRESS_PERCENT = -65.7, 72.8
"""Changes of the volume of a ball whose diameter changes by -30 % and by +20 %: 0.7 and 1.2 to the power of 3."""

NEW_LESIONS = "There are new lesions (section 4.3.5); whether each of them is unequivocally a tumor is for a reader."

NOTHING_TO_EVALUATE = (
    "Nothing can be evaluated: neither the baseline nor this examination has a lesion (lymph nodes of normal size do "
    "not count)."
)


@dataclass(frozen=True)
class Candidate:
    """A lesion at baseline that may become a target.

    Attributes:
        name: Name of the lesion.
        organ: The organ; both lungs are one organ, and all lymph nodes are one (clarification).
        long_axis_mm: Longest axial diameter, mm.
        short_axis_mm: Longest diameter perpendicular to it, mm.
        is_node: Whether it is a lymph node, which is measured by its short axis.
    """

    name: str
    organ: str
    long_axis_mm: float
    short_axis_mm: float
    is_node: bool = False

    @property
    def size_mm(self) -> float:
        """The diameter that RECIST measures, mm."""
        return self.short_axis_mm if self.is_node else self.long_axis_mm


@dataclass(frozen=True)
class Target:
    """The diameters of a target lesion over time.

    Attributes:
        sizes_mm: One diameter per examination, mm, the baseline first; 0 if the lesion is gone, None if it was not
            examined. What can be measured is entered as measured, also below 5 mm (section 4.3.2, clarification).
        is_node: Whether it is a lymph node.
        largest_mm: If it is in several pieces at the last examination, the diameter of the largest one, mm; otherwise
            None. Nodes are normal one by one, although their diameters are added up.
    """

    sizes_mm: tuple[float | None, ...]
    is_node: bool = False
    largest_mm: float | None = None

    @property
    def disappeared(self) -> bool:
        """Whether it is gone at the last examination or, if it is a node, normal."""
        size = self.sizes_mm[-1]
        if size is None or not self.is_node:
            return size == 0
        return (size if self.largest_mm is None else self.largest_mm) < NORMAL_NODE_MM


@dataclass(frozen=True)
class Response:
    """A response category and how it was found.

    Attributes:
        category: The category.
        rules: Sentences that name the rules that apply.
        sum_mm: Sum of the diameters now, mm; None if it is not known.
        baseline_mm: Sum at baseline, mm.
        nadir_mm: Smallest sum so far, the baseline included and the present examination not, mm.
    """

    category: Category
    rules: tuple[str, ...]
    sum_mm: float | None = None
    baseline_mm: float | None = None
    nadir_mm: float | None = None


def choose_targets(candidates: Sequence[Candidate], slice_mm: float = 1.0) -> list[int]:
    """Choose the target lesions: the largest measurable ones, at most 2 per organ and 5 in total (section 4.2).

    Args:
        candidates: The lesions at baseline.
        slice_mm: Thickness of the slices, mm.

    Returns:
        Indices of the targets, largest first.
    """
    least_mm = max(LEAST_TARGET_MM, SLICES_PER_TARGET * slice_mm if slice_mm > 5 else 0)
    chosen: list[int] = []
    for n in sorted(range(len(candidates)), key=lambda n: -candidates[n].size_mm):
        lesion = candidates[n]
        in_organ = sum(candidates[other].organ == lesion.organ for other in chosen)
        measurable = lesion.size_mm >= (LEAST_NODE_MM if lesion.is_node else least_mm)
        if measurable and in_organ < MOST_PER_ORGAN and len(chosen) < MOST_TARGETS:
            chosen.append(n)
    return chosen


def target_response(targets: Sequence[Target]) -> Response:
    """Return the response of the target lesions at the last examination (section 4.3.1).

    Args:
        targets: The targets, all with the same number of at least two examinations.
    """
    if not targets:
        return Response("NE", ("No lesion was measurable at baseline.",))
    sums = [_sum([target.sizes_mm[visit] for target in targets]) for visit in range(len(targets[0].sizes_mm))]
    known = [each for each in sums[:-1] if each is not None]
    now, baseline = sums[-1], sums[0]
    if baseline is None or not known:
        return Response("NE", ("The targets were not measured at baseline.",), now)
    nadir = min(known)
    measured = sum(target.sizes_mm[-1] or 0.0 for target in targets)
    category, rules = _category(targets, measured, baseline, nadir)
    if now is None and category != "PD":
        return Response(
            "NE",
            ("At least one target was not measured, and the others alone show no progression (section 4.4.2).",),
            None,
            baseline,
            nadir,
        )
    return Response(category, rules, now, baseline, nadir)


def _category(
    targets: Sequence[Target], total: float, baseline: float, nadir: float
) -> tuple[Category, tuple[str, ...]]:
    if all(target.disappeared for target in targets):
        nodes = " and every target node is shorter than 10 mm" if any(target.is_node for target in targets) else ""
        return "CR", (f"All targets have disappeared{nodes} (section 4.3.1).",)
    growth = _percent(total, nadir)
    increase_mm = round(total - nadir, 6)  # without the last digits of a sum, which must not decide at the limit
    if increase_mm >= PROGRESS_MM and (nadir == 0 or growth >= PROGRESS_PERCENT):
        percent = "" if nadir == 0 else f" by {growth:.0f} % and"
        return "PD", (
            f"The sum has grown{percent} by {increase_mm:.1f} mm from its smallest value ({nadir:.1f} mm): at least "
            "20 % and 5 mm (section 4.3.1).",
        )
    change = _percent(total, baseline)
    if change <= PARTIAL_PERCENT:
        decrease = f"The sum has decreased by {-change:.0f} % from baseline ({baseline:.1f} mm)"
        return "PR", (f"{decrease}: at least 30 % (section 4.3.1).",)
    rule = "The sum has neither decreased by 30 % from baseline nor grown by 20 % and 5 mm from its smallest value"
    if nadir and growth >= PROGRESS_PERCENT:
        rule = f"The sum has grown by {growth:.0f} %, but by less than 5 mm"
    return "SD", (f"{rule} (section 4.3.1).",)


def _sum(sizes: Sequence[float | None]) -> float | None:
    return None if any(size is None for size in sizes) else float(sum(size or 0.0 for size in sizes))


def _percent(now: float, before: float) -> float:
    """Return the change in percent, without the last digits of a division, which must not decide at a limit."""
    return round(100 * (now - before) / before, 6) if before else 0.0


def non_target_response(present: Sequence[bool | None], *, progression: bool = False) -> Response | None:
    """Return the response of the lesions that are no targets (section 4.3.3).

    Args:
        present: For each of them, whether it is still there (a node: 10 mm or more); None if it was not examined.
        progression: Whether a reader saw unequivocal progression; no measurement decides this.

    Returns:
        The response; None if there are no such lesions.
    """
    if not present:
        return None
    if progression:
        return Response("PD", ("A reader saw unequivocal progression of non-target lesions (section 4.3.4).",))
    if any(each is None for each in present):
        return Response("NE", ("At least one non-target lesion was not examined (table 2).",))
    if any(present):
        return Response("non-CR/non-PD", ("At least one non-target lesion persists (section 4.3.3).",))
    return Response("CR", ("All non-target lesions have disappeared (section 4.3.3).",))


def overall_response(
    targets: Response | None, non_targets: Response | None, *, new_lesions: bool, was_complete: bool = False
) -> Response:
    """Combine the parts to the response of the patient at this examination (section 4.4, tables 1 and 2).

    Args:
        targets: Response of the targets; None if there were none at baseline.
        non_targets: Response of the other lesions; None if there were none at baseline.
        new_lesions: Whether there are new lesions.
        was_complete: Whether the response at the previous examination was complete. A lesion that is back then is
            progression; otherwise, a lesion that is back only counts in the sum (clarification).
    """
    parts = [part for part in (targets, non_targets) if part is not None]
    rules = [rule for part in parts for rule in part.rules]
    if new_lesions:
        rules.append(NEW_LESIONS)
    category = _overall(targets, non_targets, new_lesions=new_lesions)
    if was_complete and category not in ("CR", "PD", "NE"):
        category = "PD"
        rules.append("A lesion is back after a complete response at the previous examination (clarification).")
    sums = targets or Response("NE", ())
    return Response(category, tuple(rules) or (NOTHING_TO_EVALUATE,), sums.sum_mm, sums.baseline_mm, sums.nadir_mm)


def _overall(targets: Response | None, non_targets: Response | None, *, new_lesions: bool) -> Category:
    target = targets.category if targets else None
    other = non_targets.category if non_targets else None
    if new_lesions or "PD" in (target, other):
        return "PD"
    if target is None:  # table 2: non-target disease only
        return other or "NE"
    if target == "CR":
        return "CR" if other in (None, "CR") else "PR"
    return target


def volume_category(baseline_ml: float, nadir_ml: float, now_ml: float) -> Category:
    """Return a category by the total volume, with limits that correspond to RECIST's for a ball.

    It is not part of RECIST 1.1; it stands beside it.
    """
    if now_ml == 0:
        return "CR"
    if nadir_ml == 0 or _percent(now_ml, nadir_ml) >= VOLUME_PROGRESS_PERCENT:
        return "PD"
    return "PR" if _percent(now_ml, baseline_ml) <= VOLUME_PARTIAL_PERCENT else "SD"
