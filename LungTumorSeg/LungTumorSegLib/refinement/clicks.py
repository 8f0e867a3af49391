"""Outline what a user points at, and correct the outline with further points.

An ``Outliner`` keeps what all clicks on one CT share, so that a second click costs only the second network's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.crop_operations import contains, unite_crops
from ..core.crops import Crop
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.texts import percent
from ..core.volume import Mask, Point, Volume, as_point
from ..networks.second_network import SecondNetwork
from ..weights.manifest import SecondLook
from .further_points import ball_at, cut_off
from .look import SecondReader
from .outline import SIDES_MM, Outline, check_inside, outline_box, outline_point
from .painting import OutlinedLesions, paint_outlines
from .views import Anatomy

CONTRAST_HU = 180.0
"""Median HU above which an outline is taken for a vessel with contrast agent; tumors rarely enhance above 120 HU."""

DAB_MM = 2.0
"""Radius of the ball around a point that the outline must contain although the network sees no lesion there, mm."""


@dataclass(frozen=True)
class Click:
    """What a user points at; all coordinates are LPS mm.

    Attributes:
        place: A point (x, y, z), or two opposite corners of a box (x0, y0, z0, x1, y1, z1).
        also: Points that belong to the same lesion.
        but_not: Points that do not belong to it.
    """

    place: tuple[float, ...]
    also: tuple[Point, ...] = ()
    but_not: tuple[Point, ...] = ()

    @property
    def middle(self) -> Point:
        """The point, or the middle of the box."""
        return as_point(np.reshape(self.place, (-1, 3)).mean(axis=0))

    def check_inside(self, ct: Volume, hint: str = "") -> None:
        """Check that all points and the middle of a box lie in a CT.

        Args:
            ct: The CT.
            hint: End of the message: what the user can do.

        Raises:
            UnusableInput: One of them does not.
        """
        for point in (self.middle, *self.also, *self.but_not):
            check_inside(ct, point, hint)


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to a click.

    Attributes:
        mask: The outline on the CT's grid; None if there is nothing.
        tumor: Probability that what lies at the place is a tumor, 0 to 1; further points do not change it.
        median_hu: Median HU of the voxels of the outline; 0 if there is none.
        warnings: Sentences for the user about further points that the network could not follow.
    """

    mask: Crop | None
    tumor: float
    median_hu: float = 0.0
    warnings: tuple[str, ...] = ()


class Outliner:
    """Outline places of one CT; every place is looked at only once."""

    def __init__(self, network: SecondNetwork, numbers: SecondLook, ct: Volume, lungs: Mask) -> None:
        """Reduce the CT for the coarse views.

        Args:
            network: The second network.
            numbers: Its entry in the model's manifest.
            ct: The CT (HU) with canonical axes.
            lungs: Both lungs (bool) on the same grid.
        """
        self._reader = SecondReader(network, ct, Anatomy.of(ct, lungs), numbers.outline_logit)
        self._by, self._ct = numbers.click, ct
        self._known: dict[tuple[float, ...], Outline] = {}

    def warm_up(self) -> None:
        """Look at the middle of the CT once, because the first look in a process takes longer than later ones."""
        x, y, z = self._ct.index_to_lps((np.asarray(self._ct.shape) - 1) / 2).tolist()
        self._reader.look((x, y, z), SIDES_MM[0])

    def answer(self, click: Click) -> Answer:
        """Outline what lies at a place; then extend the outline to ``also`` and cut off what is nearer to ``but_not``.

        Raises:
            UnusableInput: A point, or the middle of the box, lies outside the CT.
        """
        click.check_inside(self._ct)
        found = self._at(click.place)
        mask, unseen = found.mask, []
        for point in click.also:
            if mask is None or not contains(mask, point, self._ct):
                part = self._at(point).mask
                if part is None or not contains(part, point, self._ct):
                    part = ball_at(point, DAB_MM, self._ct)
                    unseen.append(point)
                mask = unite_crops(mask, part, self._ct)
        if mask is not None and click.but_not:
            mask = cut_off(mask, (click.middle, *click.also), click.but_not, self._ct)
        median_hu = 0.0 if mask is None else float(np.median(mask.voxels_of(self._ct)))
        return Answer(mask, found.tumor, median_hu, _small_balls(unseen))

    def _at(self, place: tuple[float, ...]) -> Outline:
        if place not in self._known:
            self._known[place] = (
                outline_point(self._reader, self._by, (place[0], place[1], place[2]))
                if len(place) == 3
                else outline_box(self._reader, self._by, place[:3], place[3:])
            )
        return self._known[place]


def outline_clicks(
    outliner: Outliner,
    ct: Volume,
    clicks: Sequence[Click],
    min_confidence: float,
    on_progress: ProgressCallback = ignore_progress,
) -> OutlinedLesions:
    """Outline what several clicks point at.

    Args:
        outliner: Outlines places of ``ct``.
        ct: The CT with canonical axes.
        clicks: The places.
        min_confidence: The confidence threshold; what is below it is left out and named in a warning.
        on_progress: Called after each place.

    Raises:
        UnusableInput: A place lies outside the CT.
    """
    outlines: list[Outline] = []
    warnings: list[str] = []
    for done, click in enumerate(clicks):
        on_progress(Progress("verifying", done, len(clicks)))
        found = outliner.answer(click)
        if (reason := objection(click, found, min_confidence)) or found.mask is None:
            anyway = "" if found.mask is None else "; set the confidence threshold to 0 to outline it anyway"
            warnings.append(f"What lies at {_in_words(click.place)} {reason}{anyway}.")
            continue
        warnings.extend(found.warnings)
        outlines.append(Outline(found.mask, found.tumor))
    on_progress(Progress("verifying", len(clicks), len(clicks)))
    return paint_outlines(outlines, ct, warnings)


def objection(click: Click, answer: Answer, min_confidence: float) -> str:
    """Return why an answer is no outline, as the end of a sentence that begins with the place; "" if it is one.

    Args:
        click: The click.
        answer: Its answer.
        min_confidence: The confidence threshold; with 0, everything that has a mask is outlined.
    """
    if answer.tumor < min_confidence:
        return f"does not look like a tumor (probability {percent(answer.tumor)})"
    if answer.mask is None:
        return "is all nearer to the points that do not belong to it" if click.but_not else "has no outline"
    if min_confidence > 0 and answer.median_hu > CONTRAST_HU:
        return f"is as bright as a vessel filled with contrast agent (median {answer.median_hu:.0f} HU)"
    return ""


def _small_balls(points: Sequence[Point]) -> tuple[str, ...]:
    """Return a sentence about the points around which only a ball was added; none without such points."""
    if not points:
        return ()
    more = len(points) - 1
    where = _in_words(points[0]) + (f" and at {more} more point{'s' * (more > 1)}" if more else "")
    return (
        f"The network sees no lesion at {where}, so only a ball of {2 * DAB_MM:g} mm was added there; paint the rest.",
    )


def _in_words(place: Sequence[float]) -> str:
    return "(" + ", ".join(f"{c:g}" for c in place) + ")"
