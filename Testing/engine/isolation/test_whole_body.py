"""A scan from head to thigh: what lies beyond the chest, and around the patient, changes nothing within it."""

import pytest
from LungTumorSegLib.isolation import isolate_lungs
from simple_chest import dice
from whole_body import make_whole_body


@pytest.mark.slow
def test_the_lungs_are_those_of_the_chest_alone():
    scan = make_whole_body()
    whole = isolate_lungs(scan.ct)
    chest = isolate_lungs(scan.chest_ct)
    assert dice(whole.lungs.array, scan.lungs) >= 0.97
    assert dice(whole.lungs.array[scan.chest], chest.lungs.array) >= 0.98
    assert not whole.lungs.array[: scan.chest.start].any()
    assert whole.warnings == ()
