"""A prepared case holds the CT, its labels and what the first network sees."""

import numpy as np
from LungTumorSegLib.training.phantoms import LESIONS, SECOND_LOOK
from LungTumorSegLib.training.second_look.cases import FIRST_IMPLANT
from LungTumorSegLib.training.store import LUNG_BIT, MASK_BIT


def test_a_case_keeps_the_ct_around_the_isolation_mask(cases):
    case = cases[0]
    assert case.ct.shape == case.label.shape == case.region.shape
    assert ((case.region & MASK_BIT) > 0).any()
    assert np.median(case.ct.array[(case.region & LUNG_BIT) > 0]) == -850
    assert set(np.unique(case.label)) == {0, 1, 2}


def test_both_grids_show_the_lesions_at_one_place(cases):
    case = cases[0]
    scan = case.scan
    for value in (1, 2):
        native = case.ct.index_to_lps(np.argwhere(case.label == value).mean(axis=0))
        working = scan.volume("label").index_to_lps(np.argwhere(scan.label == value).mean(axis=0))
        np.testing.assert_allclose(native, working, atol=1.0)


def test_the_first_network_is_sure_of_what_is_dense(cases):
    scan = cases[0].scan
    assert scan.probability[(scan.label > 0) & (scan.hu > 20)].mean() > 0.8
    assert scan.probability[scan.lungs & (scan.hu < -800)].mean() < 0.2


def test_a_copy_has_more_lesions_and_the_maps_of_its_own_ct(cases):
    case = cases[0]
    (copy,) = case.implanted
    added = copy.label >= FIRST_IMPLANT
    assert added.any()
    np.testing.assert_array_equal(copy.label[~added], case.scan.label[~added])
    assert copy.probability[added].mean() > case.scan.probability[added].mean()
    assert not list(cases[1].implanted)


def test_phantoms_differ_in_what_they_hold():
    options = [SECOND_LOOK.options(seed) for seed in range(310_000, 310_040)]
    assert {each.enhancement_hu for each in options} == {0.0, None}
    assert any(each.lesions == () for each in options)
    assert {each.lesion_count for each in options if each.lesions is None} == set(range(LESIONS[0], LESIONS[1] + 1))
