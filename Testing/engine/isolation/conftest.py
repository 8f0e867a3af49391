"""Chests that all tests of this folder look at."""

from dataclasses import dataclass

import numpy as np
import pytest
from LungTumorSegLib.core.events import Progress
from LungTumorSegLib.core.volume import CTVolume
from LungTumorSegLib.isolation import LungIsolation, isolate_lungs
from simple_chest import Chest, every_second, make_chest, on_a_couch


@pytest.fixture(scope="session")
def a_chest() -> Chest:
    return make_chest()


@pytest.fixture(scope="session")
def a_bent_chest() -> Chest:
    return make_chest(bend_mm=25.0)


@pytest.fixture(scope="session")
def a_chest_on_a_couch(a_chest) -> Chest:
    return on_a_couch(a_chest)


@dataclass(frozen=True, eq=False)
class ObservedIsolation:
    """An isolation, the progress that it reported, and its input as it was before and is after it."""

    isolation: LungIsolation
    progress: list[Progress]
    before: np.ndarray
    ct: CTVolume


@pytest.fixture(scope="session")
def observed(a_chest) -> ObservedIsolation:
    ct, progress = a_chest.ct, []
    before = ct.array.copy()
    return ObservedIsolation(isolate_lungs(ct, progress.append), progress, before, ct)


@pytest.fixture(scope="session")
def a_coarse_ct(a_chest) -> CTVolume:
    """For tests that compare two isolations: every second row and column of the chest."""
    return every_second(a_chest.ct)


@pytest.fixture(scope="session")
def isolated_coarsely(a_coarse_ct) -> LungIsolation:
    return isolate_lungs(a_coarse_ct)


@pytest.fixture(scope="session")
def isolated(observed) -> LungIsolation:
    return observed.isolation
