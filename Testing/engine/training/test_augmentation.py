"""The six augmentations."""

import sys
from importlib.util import find_spec
from typing import get_args

import numpy as np
import pytest
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.training.augmentation import build_augmentation
from LungTumorSegLib.training.sampling_config import AugmentationPart
from LungTumorSegLib.training.store import IGNORED
from scipy import ndimage

pytestmark = pytest.mark.skipif(find_spec("monai") is None, reason="needs the package monai")

SHAPE = (4, 48, 56)


@pytest.fixture(scope="module")
def augment():
    return build_augmentation("paper")


def a_sample():
    """A bright box that is tumor, right of the middle, in front; a part that does not count; lung noise around."""
    image = np.random.default_rng(1).uniform(0.05, 0.15, SHAPE).astype(np.float32)
    label = np.zeros(SHAPE, np.uint8)
    label[1:3, 12:22, 34:46], label[:, 40:44, 5:9] = 1, IGNORED
    image[label == 1] = 0.8
    return image, label


def test_image_and_label_move_together(augment):
    moved = 0
    for seed in range(40):
        image, label = augment(*a_sample(), seed)
        assert (image.shape, image.dtype, label.dtype) == (SHAPE, np.float32, np.uint8)
        assert set(np.unique(label)) <= {0, 1, IGNORED}
        assert image.min() >= 0
        assert image.max() <= 1
        tumor, elsewhere = image[label == 1], image[label == 0]
        assert np.median(tumor) > np.median(elsewhere) + 0.3
        moved += not np.array_equal(label, a_sample()[1])
    assert 15 < moved < 40  # flip or rotation in three of four


def test_slices_are_turned_alike(augment):
    """Slices 1 and 2 hold the same tumor, slices 0 and 3 none, after any augmentation."""
    for seed in range(20):
        _, label = augment(*a_sample(), seed)
        np.testing.assert_array_equal(label[1], label[2])
        assert not (label[0] == 1).any()


def test_the_flip_exchanges_left_and_right_only(augment):
    places = [np.argwhere(augment(*a_sample(), seed)[1] == 1).mean(axis=0) for seed in range(60)]
    _, rows, columns = np.transpose(places)
    left = np.mean(columns < 28)
    assert left == pytest.approx(0.5, abs=0.2)
    assert np.median(rows) == pytest.approx(16.5, abs=2)  # rows run from front to back: nobody stands on their head


def test_the_seed_alone_decides(augment):
    first = augment(*a_sample(), 11)
    for seed in (3, 4):
        augment(*a_sample(), seed)
    for a, b in zip(first, augment(*a_sample(), 11), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not all(np.array_equal(augment(*a_sample(), seed)[0], first[0]) for seed in range(5))


def test_none_changes_nothing():
    image, label = a_sample()
    same = build_augmentation("none")(image, label, 3)
    np.testing.assert_array_equal(same[0], image)
    np.testing.assert_array_equal(same[1], label)


SHARES = {
    "RandFlipd": 0.5,
    "RandAffined": 0.5,
    "Rand2DElasticd": 0.15,
    "RandAdjustContrastd": 0.25,
    "RandGaussianNoised": 0.25,
    "RandGaussianSmoothd": 0.15,
}


def parts(augment):
    return {type(part).__name__: part for part in augment._transform.transforms}


def test_each_of_the_six_takes_part_by_its_share(augment):
    taken = dict.fromkeys(SHARES, 0)
    for seed in range(120):
        augment(*a_sample(), seed)
        for name, part in parts(augment).items():
            taken[name] += part._do_transform
    assert {name: count / 120 for name, count in taken.items()} == pytest.approx(SHARES, abs=0.12)


@pytest.fixture
def only():
    """``only(name)``: the augmentation of one of the six, in every sample."""

    def make(name):
        augment = build_augmentation("paper")
        for kind, part in parts(augment).items():
            part.prob = float(kind == name)
        return augment

    return make


def a_bar():
    """A bar along the columns, through the middle, and its label."""
    label = np.zeros(SHAPE, np.uint8)
    label[:, 22:26, 12:44] = 1
    return label.astype(np.float32) * 0.8 + 0.1, label


def angle_degrees(mask):
    """Of the long axis of a plane's mask against the columns."""
    rows, columns = np.nonzero(mask)
    spread = np.cov(columns, rows)
    return float(np.degrees(0.5 * np.arctan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1])))


def test_patients_are_turned_by_15_degrees_and_scaled_by_15_percent_at_most(only):
    augment = only("RandAffined")
    found = [augment(*a_bar(), seed)[1][1] == 1 for seed in range(40)]
    angles = np.array([angle_degrees(mask) for mask in found])
    scales = np.sqrt([np.count_nonzero(mask) / np.count_nonzero(a_bar()[1][1]) for mask in found])
    assert 10 < np.abs(angles).max() < 16
    assert angles.min() < -5
    assert angles.max() > 5
    assert (scales.min(), scales.max()) == pytest.approx((0.86, 1.17), abs=0.06)


def test_elastic_deformation_bends_image_and_label_alike_by_a_few_pixels(only):
    augment, bent = only("Rand2DElasticd"), 0
    for seed in range(12):
        image, label = augment(*a_bar(), seed)
        inner = ndimage.binary_erosion(label[0] == 1), ndimage.binary_dilation(label[0] == 1, iterations=2)
        assert image[0][inner[0]].min() > 0.45
        assert image[0][~inner[1]].max() < 0.55
        heights = np.array([np.flatnonzero(label[0][:, column]).mean() for column in range(18, 38)])
        assert np.abs(heights - 23.5).max() < 6
        bent += heights.max() - heights.min() > 0.7
    assert bent > 4


@pytest.mark.parametrize("name", ["RandAdjustContrastd", "RandGaussianNoised", "RandGaussianSmoothd"])
def test_what_changes_brightness_leaves_the_label_alone(only, name):
    for seed in range(5):
        image, label = only(name)(*a_sample(), seed)
        np.testing.assert_array_equal(label, a_sample()[1])
        assert not np.array_equal(image, a_sample()[0])


def test_contrast_keeps_darker_darker(only):
    image = a_sample()[0]
    order = np.argsort(image, axis=None)
    means, dim = [], []
    for seed in range(20):
        changed = only("RandAdjustContrastd")(*a_sample(), seed)[0]
        assert (np.diff(changed.ravel()[order]) >= -1e-6).all()
        means.append(changed[image > 0.5].mean())
        dim.append(np.median(changed))
    assert min(means) < np.median(means) <= 0.8001  # the brightest stays; what lies below is lowered or raised
    assert min(dim) < np.median(image) < max(dim)


def test_noise_is_centered_and_at_most_42_hu(only):
    for seed in range(10):
        image = np.full(SHAPE, 0.5, np.float32)
        noise = only("RandGaussianNoised")(image, a_sample()[1], seed)[0] - 0.5
        assert abs(noise.mean()) < 4 * 0.03 / np.sqrt(noise.size)
        assert 0 < noise.std() < 0.031


def test_blur_smooths_within_the_slices_alone(only):
    image, label = a_sample()
    image[0] = 0.0
    for seed in range(5):
        blurred = only("RandGaussianSmoothd")(image, label, seed)[0]
        assert (blurred[0] == 0).all(), "the slice beside it has lung noise"
        assert blurred[3, 5:-5, 5:-5].std() < 0.8 * image[3, 5:-5, 5:-5].std()
        assert blurred[3].mean() == pytest.approx(image[3].mean(), rel=0.05)


def test_without_monai_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.transforms.compose", None)
    with pytest.raises(
        MachineLimit, match=r"needs MONAI; pip install 'lungtumorseg\[train\]' or set sampling\.augmentation: none"
    ):
        build_augmentation("paper")
    build_augmentation("none")


def changes(without):
    """Return whether image and label ever change without some of the parts."""
    augment, (image, label) = build_augmentation("paper", without), a_sample()
    made = [augment(image, label, seed) for seed in range(12)]
    return any(not np.array_equal(m, image) for m, _ in made), any(not np.array_equal(m, label) for _, m in made)


def test_each_part_can_be_left_out():
    parts = get_args(AugmentationPart)
    assert changes(parts) == (False, False)
    for part in parts:
        alone = changes(set(parts) - {part})
        assert alone == (True, part in ("flip", "rotation", "deformation")), part
