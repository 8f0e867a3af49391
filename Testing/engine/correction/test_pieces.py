"""Lesions taken apart."""

import numpy as np
import pytest
from chests import block
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.correction.pieces import pieces_of, surrounded_share
from volumes import affine_of

SHAPE = (9, 20, 30)
LARGE, SMALL, SPECK = (
    block(SHAPE, (1, 1, 1), (5, 9, 9)),
    block(SHAPE, (6, 12, 12), (8, 16, 18)),
    block(SHAPE, (0, 0, 20), (1, 1, 22)),
)


def volume(*masks) -> Volume:
    return Volume(np.any(masks, axis=0), affine_of())  # 1.4 mm3 a voxel


def test_what_is_not_connected_is_a_piece_largest_first():
    pieces = pieces_of(volume(SMALL, LARGE))
    np.testing.assert_array_equal([piece.array for piece in pieces], [LARGE, SMALL])


def test_specks_stay_with_the_largest_piece():
    pieces = pieces_of(volume(SMALL, LARGE, SPECK))
    np.testing.assert_array_equal([piece.array for piece in pieces], [LARGE | SPECK, SMALL])


def test_the_smallest_piece_has_a_volume_in_ml():
    assert len(pieces_of(volume(SMALL, LARGE, SPECK), smallest_ml=0.0028)) == 3  # two voxels of 1.4 mm3
    assert len(pieces_of(volume(SMALL, LARGE, SPECK), smallest_ml=0.0029)) == 2


@pytest.mark.parametrize("corner", [True, False])
def test_pieces_that_touch_at_a_corner_are_one(corner):
    second = block(SHAPE, (5, 9, 9), (8, 13, 13)) if corner else block(SHAPE, (6, 9, 9), (8, 13, 13))
    assert len(pieces_of(volume(LARGE, second))) == (1 if corner else 2)


def test_the_share_of_neighbors_counts_faces_also_at_the_grids_edge():
    mask, beside = volume(block(SHAPE, (0, 0, 0), (2, 3, 4))), volume(block(SHAPE, (0, 0, 4), (9, 20, 30)))
    faces = 2 * (2 * 3 + 2 * 4 + 3 * 4)
    assert surrounded_share(mask, beside) == pytest.approx(2 * 3 / faces)
    assert surrounded_share(mask.crop((0, 0, 0), (2, 3, 4)), beside) == pytest.approx(2 * 3 / faces)
    assert surrounded_share(volume(SMALL), volume(~SMALL)) == 1.0
