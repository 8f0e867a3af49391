"""A prepared case holds the CT, its labels and what the first network sees."""

from dataclasses import replace

import numpy as np
from LungTumorSegLib.core.events import ignore_progress
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.training.data_config import CaseConfig, DataConfig, PhantomConfig
from LungTumorSegLib.training.phantoms import LESIONS, SECOND_LOOK
from LungTumorSegLib.training.second_look import cases as cases_module
from LungTumorSegLib.training.second_look.cases import FIRST_IMPLANT, prepare_cases
from LungTumorSegLib.training.second_look.config import PHANTOM
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


def test_each_source_is_searched_by_its_own_first_network(config, first, tmp_path, monkeypatch):
    patients = [CaseConfig(ct=f"{name}.nii.gz", patient=name) for name in ("anna", "ben")]
    data = DataConfig(cache=str(tmp_path), phantoms=PhantomConfig(count=1))
    settings = replace(config(sources={"hospital": ("ben",)}), data=data)
    model = load_model(str(first))
    other = replace(model, manifest=replace(model.manifest, weights_sha256="0" * 64))
    asked, written = [], {}

    def keep(folder, ct, label, by, **_):
        written[folder.name] = by

    def model_of(source):
        asked.append(source)
        return other if source == "hospital" else model

    monkeypatch.setattr(cases_module, "read_ct", lambda *_, **__: None)
    monkeypatch.setattr(cases_module, "read_label", lambda *_: None)
    monkeypatch.setattr(cases_module, "write_case", lambda folder, _, __, by, **___: written.update({folder.name: by}))
    prepared = prepare_cases(settings, patients, [], model_of, ignore_progress)
    assert [case.source for case in prepared] == ["anna", "hospital", PHANTOM]
    assert set(asked) == {"anna", "hospital", PHANTOM}
    assert [written[case.folder.name] for case in prepared] == [model, other, model]
    same = [case.folder for case in prepare_cases(settings, patients, [], lambda _: model, ignore_progress)]
    assert [case.folder == folder for case, folder in zip(prepared, same, strict=True)] == [True, False, True]


def test_phantoms_differ_in_what_they_hold():
    options = [SECOND_LOOK.options(seed) for seed in range(310_000, 310_040)]
    assert {each.enhancement_hu for each in options} == {0.0, None}
    assert any(each.lesions == () for each in options)
    assert {each.lesion_count for each in options if each.lesions is None} == set(range(LESIONS[0], LESIONS[1] + 1))
