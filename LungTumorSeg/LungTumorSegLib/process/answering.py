"""The command ``lungtumorseg answer``: a process that keeps a CT and the networks, and answers clicks on the CT.

A program writes one JSON object per line to stdin, for example ``{"id": 1, "place": [61.5, -12, -310]}``. ``place`` is
a point or two corners of a box; ``also`` and ``but_not`` are lists of further points; ``min_confidence`` replaces that
of the model. All coordinates are LPS mm. Each line is answered by one ``item`` event with the same ``id``.
"""

from __future__ import annotations

import argparse
import math
import queue
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import UNUSABLE, UnusableInput
from ..core.events import Progress
from ..core.texts import quoted
from ..options import OPTION
from .channel import Channel, JsonLinesChannel

if TYPE_CHECKING:
    from ..core.volume import Point
    from ..refinement.clicks import Click, Outliner

IDLE_SECONDS = 600.0
"""Seconds without a request after which the process ends, so that an unused one does not keep its memory."""

KEYS = ("place", "also", "but_not", "min_confidence", "id")
"""What a request may contain; another key, such as a misspelled one, is refused rather than left out."""


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Read the CT, then answer requests until stdin closes or no request has come for ``IDLE_SECONDS``.

    Raises:
        UnusableInput: The CT cannot be used, or the model has no second network.
        Cancelled: Stdin was closed before the CT was ready.
    """
    if not isinstance(channel, JsonLinesChannel):
        raise TypeError("The command answer needs a channel with requests.")
    from ..io.images import read_ct
    from ..networks.stored import load_model
    from ..options import SegmentOptions
    from ..pipeline import outliner_of

    channel.progress(Progress("model", 0, 1))
    chosen = SegmentOptions.of({"model": options.model})
    model = load_model(chosen.model)
    channel.progress(Progress("reading", 0, 1))
    ct = read_ct(options.input, series=options.series, phase=options.phase)
    channel.progress(Progress("reading", 1, 1))
    outliner, isolation = outliner_of(ct, model, channel.progress)
    outliner.warm_up()
    channel.progress(Progress("verifying", 1, 1))
    channel.item({"ready": True}, "")
    least = chosen.settled(model.manifest).min_confidence
    while (request := _next(channel.requests)) is not None:
        channel.item(answer_to(request, outliner, least, (*ct.warnings, *isolation.warnings)), "")
    channel.result({}, "")


def answer_to(
    request: dict[str, Any], outliner: Outliner, least: float, warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the answer to one request.

    Args:
        request: The request.
        outliner: Outlines places of the CT.
        least: The confidence threshold, unless the request states another.
        warnings: What makes the CT or its lungs doubtful, for every answer.

    Returns:
        ``id``; ``tumor``, the probability of a tumor; ``mask``, or None if nothing is outlined; ``warnings``. If the
        request cannot be answered, ``id``, ``code`` and ``message``.
    """
    from ..refinement.clicks import objection

    number = request.get("id")
    try:
        click, stated = _click(request), OPTION["min_confidence"].checked(request.get("min_confidence"))
        found = outliner.answer(click)
    except UnusableInput as error:
        return {"id": number, "code": UNUSABLE, "message": str(error)}
    reason = objection(click, found, least if stated is None else stated)
    answer = {"id": number, "tumor": found.tumor}
    if reason or found.mask is None:
        return {**answer, "mask": None, "warnings": [f"This {reason}.", *warnings]}
    from ..core.mask_json import mask_as_json  # imports numpy, so only if needed

    return {**answer, "mask": mask_as_json(found.mask.mask), "warnings": [*found.warnings, *warnings]}


def _click(request: dict[str, Any]) -> Click:
    from ..refinement.clicks import Click

    if "place" not in request:
        raise UnusableInput('A request must be a JSON object in one line, such as {"place": [61.5, -12, -310]}.')
    unknown = [name for name in request if name not in KEYS]
    if unknown:
        raise UnusableInput(f"A request has no key {quoted(unknown[0])}; its keys are {', '.join(KEYS)}.")
    place = request["place"]
    corners = 6 if isinstance(place, list) and len(place) == 6 else 3
    return Click(_numbers(place, corners), _points(request.get("also")), _points(request.get("but_not")))


def _points(points: Any) -> tuple[Point, ...]:
    if not isinstance(points, list | None):
        raise UnusableInput(f"Further points must be a list of points; got {quoted(points)}.")
    return tuple((x, y, z) for x, y, z in (_numbers(point, 3) for point in points or ()))


def _numbers(values: Any, count: int) -> tuple[float, ...]:
    if (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    ):
        return tuple(float(v) for v in values)
    raise UnusableInput(f"A request needs a place of three or six numbers, and points of three; got {quoted(values)}.")


def _next(requests: queue.SimpleQueue[dict[str, Any] | None]) -> dict[str, Any] | None:
    try:
        return requests.get(timeout=IDLE_SECONDS)
    except queue.Empty:
        return None
