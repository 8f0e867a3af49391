"""Texts of the panel about lesions: pure functions from rows to text."""

from collections.abc import Mapping, Sequence
from typing import Any

from LungTumorSegLib.core.terminology import CONFIRMED, REJECTED
from LungTumorSegLib.lesions.columns import Column
from LungTumorSegLib.results.lesion_rows import ADDED, CORRECTED, LesionRow
from slicer.i18n import tr as _


def headings() -> dict[str, str]:
    """Return the translated headings of the table; written out, so that Slicer's translation tool finds them."""
    return {
        "Lesion": _("Lesion"),
        "Side": _("Side"),
        "Volume": _("Volume"),
        "Long": _("Long"),
        "Short": _("Short"),
        "Mean": _("Mean"),
        "Confidence": _("Confidence"),
    }


def headingText(column: Column) -> str:
    """Return the heading of a column, translated if ``headings`` has it, with its unit in a second line."""
    heading = headings().get(column.heading, column.heading)
    unit = "" if column.unit[:1].isdigit() else column.unit  # not the range of a share
    return f"{heading}\n{unit}" if unit else heading


def cellText(column: Column, lesion: LesionRow) -> str:
    """Return what the table shows of a lesion in a column."""
    special = {"volume_ml": volumeText, "confidence": confidenceText}.get(column.name)
    return special(lesion) if special else column.text(lesion.values.get(column.name))


def volumeText(lesion: LesionRow) -> str:
    """Return the volume in mL, followed by the network's volume if the lesion was corrected."""
    isKnown = lesion.network_volume_ml == lesion.network_volume_ml  # nan for a component that was split off
    if lesion.correction == CORRECTED and isKnown:
        return _("{after:.2f}\nwas {before:.2f}").format(after=lesion.volume_ml, before=lesion.network_volume_ml)
    return f"{lesion.volume_ml:.2f}"


def confidenceText(lesion: LesionRow) -> str:
    """Return the network's confidence and what a person did to the lesion.

    A reviewed or corrected lesion is not marked for checking.
    """
    if lesion.review == REJECTED:
        return _("rejected")
    known = "?" if lesion.confidence != lesion.confidence else f"{lesion.confidence:.2f}"  # nan is not equal to itself
    mark = {"": "", CORRECTED: _("corrected"), ADDED: _("added")}[lesion.correction]
    if lesion.check and not mark and not lesion.review:
        return _("{value} check").format(value=known)
    second = f"\n{mark}" if mark else ""  # on a second line, as the panel is narrow
    return f"{known}{second} \N{CHECK MARK}" if lesion.review == CONFIRMED else f"{known}{second}"


def remarkText(lesion: LesionRow) -> str:
    """Return the remarks on a lesion for the tooltip of its row."""
    remarks = [lesion.segment + "."]
    if lesion.check and not lesion.correction and not lesion.review:
        remarks.append(_("The network's confidence is low: check this lesion before you use it."))
    if lesion.correction == CORRECTED and lesion.network_volume_ml == lesion.network_volume_ml:
        remarks.append(_("Corrected by hand. Volume before: {before:.2f} mL.").format(before=lesion.network_volume_ml))
    elif lesion.correction == CORRECTED:
        remarks.append(_("Corrected by hand: a part of a lesion that the network found."))
    if lesion.correction == ADDED:
        pointedAt = lesion.confidence == lesion.confidence  # nan without an answer of the network
        remarks.append(
            _("Added with Segment here: the search did not find it.")
            if pointedAt
            else _("Added by hand: the network did not find it.")
        )
    if lesion.review == CONFIRMED:
        remarks.append(_("Reviewed: confirmed."))
    if lesion.review == REJECTED:
        remarks.append(_("Reviewed: rejected as a false positive. It is hidden and excluded from all totals."))
    return " ".join(remarks)


def burdenText(lesions: Sequence[LesionRow], summary: Mapping[str, Any]) -> str:
    """Return the number and total volume of the lesions in one line, or that there is no lesion."""
    counted = [lesion for lesion in lesions if lesion.review != REJECTED]
    if not counted:
        wasSome = bool(lesions or summary.get("lesions"))
        return _("No lesion is left; this does not exclude disease") if wasSome else str(summary.get("message", ""))
    volume = sum(lesion.volume_ml for lesion in counted)
    percent = summary.get("spread", {}).get("burden_percent")  # of the lung volume including lesions
    share = "" if percent is None else _(", {percent:.1f} % of the lungs").format(percent=percent)
    count = _("{count} lesions").format(count=len(counted)) if len(counted) > 1 else _("1 lesion")
    return str(_("{count}, {volume:.1f} mL in total{share}").format(count=count, volume=volume, share=share))


def durationText(seconds: float) -> str:
    """Return a remaining time as text, in minutes from 90 seconds on."""
    if seconds >= 90:
        return str(_("{minutes} min").format(minutes=round(seconds / 60)))
    return str(_("{seconds} s").format(seconds=max(1, round(seconds))))
