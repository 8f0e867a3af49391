"""Which patients train the network, which choose between checkpoints, and which are reserved for the test.

The split is by patient, is stored in a file and is checked for leaks. One patient may have different names in several
data sets; ``PatientNames`` knows which names belong to one person.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..core.complete_files import complete_file
from ..core.errors import UnusableInput
from ..core.json_files import write_json

SCHEMA_VERSION = 1


class PatientNames:
    """The identity of patients across data sets; each group of ``same`` lists the names of one person."""

    def __init__(self, same: Sequence[Sequence[str]] = ()) -> None:
        self._first: dict[str, str] = {}
        for group in same:
            known = {self.person(name) for name in group}
            for name in {*group, *(other for other, first in self._first.items() if first in known)}:
                self._first[name] = min(known)

    def person(self, name: str) -> str:
        """Return the same name for every name of one person."""
        return self._first.get(name, name)


@dataclass(frozen=True)
class Split:
    """Names of patients.

    Attributes:
        training: Patients on which the network is trained.
        validation: Patients that choose between checkpoints.
        test: Patients that are not read at all.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def part_of(self, patient: str, names: PatientNames) -> str:
        """Return ``training``, ``validation`` or ``test``.

        Raises:
            UnusableInput: The patient is in no part.
        """
        for part, members in asdict(self).items():
            if names.person(patient) in {names.person(member) for member in members}:
                return str(part)
        raise UnusableInput(
            f"The patient {patient!r} is in no part of the split; add it to the split file or delete the file."
        )


def draw_split(
    patients: Iterable[str], *, validation_share: float, test_share: float, seed: int, names: PatientNames
) -> Split:
    """Draw a random split in which all names of one person are in the same part.

    Args:
        patients: Names of all patients.
        validation_share: Share of the persons that choose between checkpoints, rounded to whole persons.
        test_share: Share of the persons that are reserved for the test, rounded likewise.
        seed: Seed of the random order.
        names: Knows which names belong to one person.

    Returns:
        The split.
    """
    people: dict[str, list[str]] = {}
    for patient in sorted(set(patients)):
        people.setdefault(names.person(patient), []).append(patient)
    order = [sorted(people)[i] for i in np.random.default_rng(seed).permutation(len(people))]
    test, validation = round(test_share * len(order)), round(validation_share * len(order))
    parts = (order[test + validation :], order[test : test + validation], order[:test])
    return Split(*(tuple(sorted(name for person in part for name in people[person])) for part in parts))


def check_no_leak(split: Split, names: PatientNames) -> None:
    """Check that no person is in two parts, under any name.

    Raises:
        UnusableInput: One person is in two parts; the message names the patient.
    """
    seen: dict[str, tuple[str, str]] = {}
    for part, members in asdict(split).items():
        for member in members:
            other, other_name = seen.setdefault(names.person(member), (part, member))
            if other != part:
                raise UnusableInput(
                    f"The split leaks: {other_name!r} ({other}) and {member!r} ({part}) are one patient."
                )


def read_split(path: Path) -> Split:
    """Read a split from its JSON file.

    Raises:
        UnusableInput: The file is damaged.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.pop("schema_version") != SCHEMA_VERSION:
            raise ValueError("it has another version")
        parts = {part: tuple(map(str, members)) for part, members in stored.items()}
        return Split(**parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableInput(
            f"The split file {path} cannot be read ({error}); delete it to draw a new split."
        ) from error


def write_split(split: Split, path: Path) -> None:
    """Write a split as JSON; the file appears only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with complete_file(path) as unfinished:
        write_json(unfinished, {"schema_version": SCHEMA_VERSION, **asdict(split)})
