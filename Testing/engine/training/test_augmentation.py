"""The six augmentations."""

import numpy as np
import pytest
from LungTumorSegLib.training.augmentation import build_augmentation
from LungTumorSegLib.training.store import IGNORED

pytest.importorskip("monai")

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
    columns = [np.argwhere(augment(*a_sample(), seed)[1] == 1)[:, 2].mean() for seed in range(60)]
    rows = [np.argwhere(augment(*a_sample(), seed)[1] == 1)[:, 1].mean() for seed in range(60)]
    left = np.mean(np.array(columns) < 28)
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
