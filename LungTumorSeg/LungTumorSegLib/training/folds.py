"""Folds of sources: trainings that leave out all patients of a hospital or collection, for both networks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..core.errors import UnusableInput
from ..core.texts import quoted
from .preparation import PreparedData
from .store import StoredCase

Sources = Mapping[str, Sequence[str]]
"""The patients of each source that has several; another patient is a source of its own."""

Folds = Sequence[Sequence[str]]
"""Groups of sources; a training leaves out one group."""


def source_of(patient: str, sources: Sources) -> str:
    """Return the source of a patient, which is the patient's own name if no source lists it."""
    return next((name for name, patients in sources.items() if patient in patients), patient)


def check_folds(folds: Folds, known: Collection[str], place: str) -> None:
    """Check that folds name sources of the data.

    Args:
        folds: The folds.
        known: The sources of all cases.
        place: Where the folds stand in the configuration.

    Raises:
        UnusableInput: A source is unknown.
    """
    for source in (source for fold in folds for source in fold):
        if source not in known:
            raise UnusableInput(
                f"{place} names the source {quoted(source)}, of which there is no case; the sources are "
                f"{', '.join(sorted(known))}."
            )


def leave_out(data: PreparedData, fold: Sequence[str], sources: Sources) -> tuple[PreparedData, list[StoredCase]]:
    """Return the data without the sources of a fold, and the CTs of these sources.

    Nodules of their patients are left out too. Phantoms and held-out cases stay.
    """

    def is_left_out(patient: str) -> bool:
        return source_of(patient, sources) in fold

    left_out = [case for case in data.training if not case.is_phantom and is_left_out(case.patient)]
    kept = [case for case in data.training if case.is_phantom or not is_left_out(case.patient)]
    held_out = [case for case in data.held_out if case.is_phantom or not is_left_out(case.patient)]
    return PreparedData(kept, held_out, [each for each in data.nodules if not is_left_out(each.patient)]), left_out
