"""Chests that all tests of this folder look at."""

import pytest
from simple_chest import Chest, make_chest, on_a_couch


@pytest.fixture(scope="session")
def a_chest() -> Chest:
    return make_chest()


@pytest.fixture(scope="session")
def a_bent_chest() -> Chest:
    return make_chest(bend_mm=25.0)


@pytest.fixture(scope="session")
def a_chest_on_a_couch(a_chest) -> Chest:
    return on_a_couch(a_chest)
