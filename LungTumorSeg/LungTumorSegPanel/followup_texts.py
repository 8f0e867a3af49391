"""Texts of the Follow-up section: pure functions from followup.json to text."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from LungTumorSegLib.core.texts import signed
from slicer.i18n import tr as _

Lesion = Mapping[str, Any]
"""An entry of ``lesions`` in followup.json."""


def columns() -> dict[str, Callable[[Lesion], str]]:
    """Return the columns of the table: header and text of a lesion."""
    return {
        _("Before"): lambda lesion: namesText(lesion["earlier"]),
        _("Now"): lambda lesion: namesText(lesion["later"]),
        _("Status"): statusText,
        _("Before\nmL"): lambda lesion: f"{lesion['volume_earlier_ml']:.2f}" if lesion["earlier"] else "",
        _("Now\nmL"): lambda lesion: f"{lesion['volume_later_ml']:.2f}" if lesion["later"] else "",
        _("Change\n%"): changeText,
        _("Doubling\ndays"): doublingText,
    }


def namesText(pieces: list[Mapping[str, Any]]) -> str:
    """Return the names of the segments of a lesion in one examination."""
    return " + ".join(piece["segment"] for piece in pieces) or "-"


def statusText(lesion: Lesion) -> str:
    """Return the translated status of a lesion."""
    if lesion.get("returned"):
        return str(_("back"))
    if not lesion.get("later_in_view", True):
        return str(_("not shown"))
    return {
        "stable": _("stable"),
        "grown": _("grown"),
        "shrunk": _("shrunk"),
        "new": _("new"),
        "gone": _("gone"),
        "split": _("split"),
        "merged": _("merged"),
    }[lesion["status"]]


def timesOf(dates: Sequence[str | None], count: int) -> list[float]:
    """Return the times of the last ``count`` examinations, days; their numbers where a date is unknown."""
    known = [date.fromisoformat(each).toordinal() for each in dates[-count:] if each]
    return [float(each) for each in (known if len(known) == count else range(count))]


def curveText(volumes: Sequence[float]) -> str:
    """Return the volumes of a lesion over time for the tooltip of its curve."""
    texts = " → ".join(f"{volume:.2f}" if volume else "-" for volume in volumes)
    return str(_("Volume over time, mL: {volumes}").format(volumes=texts))


def changeText(lesion: Lesion) -> str:
    """Return the change of the volume in percent; empty if the lesion is new or gone."""
    percent = lesion["volume_change_percent"]
    return "" if percent is None or not lesion["later"] else signed(percent)


def doublingText(lesion: Lesion) -> str:
    """Return the doubling time of a lesion that has grown, in days; otherwise nothing."""
    days = lesion["doubling_time_days"]
    return f"{days:.0f}" if days is not None and lesion["size_status"] == "grown" else ""


def remarkText(lesion: Lesion) -> str:
    """Return the remarks on a lesion for the tooltip of its row."""
    remarks = []
    if lesion["match_confidence"] is not None:
        remarks.append(_("Confidence of the match: {value:.2f}.").format(value=lesion["match_confidence"]))
    if lesion.get("returned"):
        remarks.append(_("It was there in an examination before these two."))
    if not lesion.get("later_in_view", True):
        remarks.append(_("The later CT does not show its place."))
    if lesion["recist_target"]:
        remarks.append(_("Target lesion of RECIST 1.1."))
    if lesion["doubling_time_range_days"] is not None and lesion["size_status"] == "grown":
        fastest, slowest = lesion["doubling_time_range_days"]
        end = _("no limit") if slowest is None else f"{slowest:.0f}"
        remarks.append(
            _("Doubling time: {fastest:.0f} days to {slowest} (90 % range).").format(fastest=fastest, slowest=end)
        )
    if lesion["later_probability"] is not None:
        text = _("Highest tumor probability at its place now: {value:.2f}.")
        remarks.append(text.format(value=lesion["later_probability"]))
    return " ".join(remarks)


def summaryText(data: Mapping[str, Any]) -> str:
    """Return the response, the quality of the alignment, and the warnings."""
    response, registration = data["recist_1_1"], data["registration"]
    rules = " ".join(response["rules"])
    lines = [_("RECIST 1.1: {category}. {rules}").format(category=response["category"], rules=rules)]
    lines.append(baselineText(data))
    lines.append(
        _(
            "Alignment: residual {median:.1f} mm (95th percentile {p95:.1f} mm), overlap of the lungs {overlap:.2f}."
        ).format(
            median=registration["residual_mm"], p95=registration["residual_p95_mm"], overlap=registration["overlap"]
        )
    )
    return "\n".join([*lines, *data["warnings"]])


def baselineText(data: Mapping[str, Any]) -> str:
    """Return from which examination RECIST counts and, if there are more than two, the category at each of them."""
    count = len(data["dates"])
    if count == 2:
        return str(_("The earlier result counts as the baseline of RECIST."))
    text = _("The first of {count} examinations counts as the baseline of RECIST; after it: {categories}.")
    history = data["recist_1_1"].get("history", [])
    return str(text.format(count=count, categories=", ".join(each["category"] for each in history)))
