"""Cases in the working grid: labels, sites, and what inference would see."""

import pickle

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.private_folder import OWNER_FILE, OWNER_NOTE
from LungTumorSegLib.inference.grid import make_working_grid
from LungTumorSegLib.isolation import isolate_lungs
from LungTumorSegLib.training.store import HIGHEST_HU, IGNORED, LUNG_BIT, MASK_BIT, load_case, prepare_case
from training_cases import a_chest_ct, a_stored_case
from volumes import ORIENTATIONS

SPACING_MM = (6.0, 5.0, 5.5)


@pytest.fixture(scope="module")
def chest():
    return a_chest_ct()


@pytest.fixture(scope="module")
def case(chest, tmp_path_factory):
    ct, label = chest
    return prepare_case(tmp_path_factory.mktemp("cache") / "case", ct, label, patient="someone", spacing_mm=SPACING_MM)


def test_a_stored_case_is_what_inference_sees(chest, case):
    isolation = isolate_lungs(chest[0])
    seen = make_working_grid(isolation.isolated, isolation.mask, spacing_mm=SPACING_MM, intensity_range_hu=(-1000, 400))
    grid = case.working_grid((-1000, 400))
    # HU are stored as whole numbers: half a HU of 1400.
    np.testing.assert_allclose(grid.image.array, seen.image.array, atol=0.5 / 1400 + 1e-6)
    np.testing.assert_array_equal(grid.region.array, seen.region.array)
    assert grid.image.same_grid(seen.image)


def test_lesions_keep_their_labels_places_and_volumes(chest, case):
    for value in (1, 2):
        truth = chest[1].array == value
        found = case.label == value
        true_ml = np.count_nonzero(truth) * chest[0].voxel_volume_ml
        # Four voxels across: half a voxel of fraction rounds a ball's corners off.
        assert np.count_nonzero(found) * np.prod(SPACING_MM) / 1000 == pytest.approx(true_ml, rel=0.2)
        center = chest[0].index_to_lps(np.argwhere(truth).mean(axis=0))
        grid = case.working_grid((-1000, 400)).image
        np.testing.assert_allclose(grid.index_to_lps(np.argwhere(found).mean(axis=0)), center, atol=1.5)


def test_sites_lie_where_their_names_say(case):
    region, sites = np.asarray(case.region), case.sites
    assert case.lesion_names == ["lesion_1", "lesion_2"]
    assert (region[tuple(sites["lung"].T)] & LUNG_BIT).all()
    assert (region[tuple(sites["border"].T)] & LUNG_BIT).all()
    assert 0 < len(sites["border"]) < len(sites["lung"])
    for value in (1, 2):
        assert (case.label[tuple(sites[f"lesion_{value}"].T)] == value).all()


def test_a_vessel_or_lesion_inside_the_lung_belongs_to_it(case):
    assert ((case.region[case.label == 2] & LUNG_BIT) > 0).all()


def test_the_order_of_axes_of_the_file_does_not_matter(chest, case, tmp_path):
    for order in ORIENTATIONS[5::20]:
        other = prepare_case(
            tmp_path / "c", order.apply(chest[0]), order.apply(chest[1]), patient="someone", spacing_mm=SPACING_MM
        )
        np.testing.assert_array_equal(other.hu, case.hu)
        np.testing.assert_array_equal(other.label, case.label)


def test_lesions_that_isolation_hides_do_not_count(chest, tmp_path):
    ct, label = chest
    outside = label.array.copy()
    outside[2:5, 2:4, 2:6] = 3  # in the air beside the patient
    stored = prepare_case(tmp_path / "c", ct, label.with_array(outside), patient="someone", spacing_mm=SPACING_MM)
    assert 3 not in stored.label
    assert "lesion_3" not in stored.sites
    assert not ((stored.label != IGNORED) & (stored.label > 0) & ((stored.region & MASK_BIT) == 0)).any()


def test_metal_ends_at_the_highest_hu(chest, tmp_path):
    ct, label = chest
    bright = ct.array.copy()
    bright[12, 20, 38] = 20_000
    stored = prepare_case(
        tmp_path / "c", ct.__class__(bright, ct.affine), label, patient="someone", spacing_mm=SPACING_MM
    )
    assert stored.hu.max() <= HIGHEST_HU


def test_another_grid_is_refused(chest, tmp_path):
    with pytest.raises(ValueError, match="does not lie on its CT's grid"):
        prepare_case(
            tmp_path / "c", chest[0], chest[1].crop((0, 0, 0), (5, 5, 5)), patient="someone", spacing_mm=SPACING_MM
        )


def test_a_case_is_read_back_and_sent_to_other_processes_by_its_place(case):
    for again in (load_case(case.folder), pickle.loads(pickle.dumps(case))):  # noqa: S301 (what worker processes do)
        assert (again.id, again.patient, again.is_phantom) == ("case", "someone", False)
        np.testing.assert_array_equal(again.hu, case.hu)
    assert len(pickle.dumps(case)) < 1000


def test_a_killed_preparation_leaves_no_case(tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("LungTumorSegLib.training.store.np.savez", killed)
    with pytest.raises(KeyboardInterrupt):
        a_stored_case(tmp_path / "case")
    assert not (tmp_path / "case").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_preparation_left_is_cleared_up_by_the_next(tmp_path):
    left = tmp_path / ".case-x1y2"
    (left / "case").mkdir(parents=True)
    (left / "case" / "hu.npy").touch()
    (left / OWNER_FILE).write_bytes(OWNER_NOTE)
    a_stored_case(tmp_path / "case")
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


@pytest.mark.parametrize("name", ["slice_1.dcm", "deeper/slice_1.dcm"])
def test_a_folder_of_the_user_with_the_name_of_a_case_is_never_replaced(tmp_path, name):
    a_stored_case(tmp_path / "case")
    (tmp_path / "case" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "case" / name).write_text("the user's")
    with pytest.raises(
        UnusableInput, match=r"case contains files that do not belong to a prepared case; choose another cache"
    ):
        a_stored_case(tmp_path / "case")
    assert (tmp_path / "case" / name).read_text() == "the user's"


def test_a_case_that_is_made_anew_replaces_the_old_one(tmp_path):
    a_stored_case(tmp_path / "case", "someone")
    a_stored_case(tmp_path / "case", "someone else")
    assert load_case(tmp_path / "case").patient == "someone else"
    assert [path.name for path in tmp_path.iterdir()] == ["case"]
