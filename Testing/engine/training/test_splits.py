"""Splits by patient, whatever a patient is called; leaks are errors."""

import json

import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.training.splits import PatientNames, Split, check_no_leak, draw_split, read_split, write_split

PATIENTS = [f"p{i:02d}" for i in range(40)]
NOBODY = PatientNames()


def test_every_patient_is_in_one_part_of_the_wanted_size():
    split = draw_split(PATIENTS, validation_share=0.1, test_share=0.25, seed=3, names=NOBODY)
    assert (len(split.training), len(split.validation), len(split.test)) == (26, 4, 10)
    assert sorted(split.training + split.validation + split.test) == PATIENTS
    check_no_leak(split, NOBODY)


def test_the_same_seed_draws_the_same_split_whatever_the_order_of_the_patients():
    options = {"validation_share": 0.1, "test_share": 0.25, "names": NOBODY}
    assert draw_split(PATIENTS, seed=3, **options) == draw_split([*PATIENTS[::-1], "p00"], seed=3, **options)
    assert draw_split(PATIENTS, seed=3, **options) != draw_split(PATIENTS, seed=4, **options)


def test_all_names_of_one_person_come_into_one_part():
    names = PatientNames([["p00", "p39"], ["p39", "p17"], ["p05", "p06", "p07"]])
    for seed in range(20):
        split = draw_split(PATIENTS, validation_share=0.3, test_share=0.3, seed=seed, names=names)
        assert split.part_of("p00", names) == split.part_of("p39", names) == split.part_of("p17", names)
        assert split.part_of("p05", names) == split.part_of("p07", names)
        check_no_leak(split, names)


def test_names_are_joined_over_groups_that_meet():
    names = PatientNames([["a", "b"], ["c", "d"], ["b", "c"]])
    assert len({names.person(name) for name in "abcd"}) == 1
    assert names.person("e") == "e"


def test_a_patient_in_two_parts_is_a_leak():
    with pytest.raises(UnusableInput, match=r"leaks: 'a' \(training\) and 'a' \(test\)"):
        check_no_leak(Split(training=("a", "b"), test=("a",)), NOBODY)


def test_one_person_under_two_names_in_two_parts_is_a_leak():
    split = Split(training=("LIDC-IDRI-0001", "x"), validation=("lidc_0001",))
    check_no_leak(split, NOBODY)
    with pytest.raises(
        UnusableInput, match=r"'LIDC-IDRI-0001' \(training\) and 'lidc_0001' \(validation\) are one patient"
    ):
        check_no_leak(split, PatientNames([["lidc_0001", "LIDC-IDRI-0001"]]))


def test_a_patient_is_found_by_another_name_and_an_unknown_one_is_an_error():
    names = PatientNames([["LIDC-IDRI-0001", "lidc_0001"]])
    split = Split(training=("x",), test=("LIDC-IDRI-0001",))
    assert split.part_of("lidc_0001", names) == "test"
    with pytest.raises(UnusableInput, match="'new' is in no part of the split"):
        split.part_of("new", names)


def test_a_split_is_kept_in_a_file(tmp_path):
    split = Split(("a", "b"), ("c",), ("d",))
    write_split(split, tmp_path / "deep/split.json")
    assert read_split(tmp_path / "deep/split.json") == split


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema_version": 2, "training": []}', '{"schema_version": 1, "train": ["a"]}']
)
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UnusableInput, match=r"split\.json cannot be read"):
        read_split(tmp_path / "split.json")


def test_a_leak_written_by_hand_is_seen(tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"schema_version": 1, "training": ["a"], "test": ["a"]}))
    with pytest.raises(UnusableInput, match="leaks"):
        check_no_leak(read_split(tmp_path / "split.json"), NOBODY)
