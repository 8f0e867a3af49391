"""Phantoms of a training: shares of disease and contrast agent, and that the shipped recipes keep theirs."""

import numpy as np
import pytest
from LungTumorSegLib.phantom import PhantomOptions
from LungTumorSegLib.training.phantoms import KINDS, SECOND_LOOK


@pytest.mark.parametrize("kind", [*KINDS.values(), SECOND_LOOK], ids=[*KINDS, "second look"])
def test_disease_contrast_and_lesions_have_their_shares(kind):
    options = [kind.options(seed) for seed in range(400)]
    for name, share in kind.distractors.items():
        assert np.mean([name in each.distractors for each in options]) == pytest.approx(share, abs=0.08)
    assert np.mean([each.enhancement_hu == 0 for each in options]) == pytest.approx(kind.unenhanced, abs=0.08)
    assert np.mean([each.lesions == () for each in options]) == pytest.approx(kind.tumor_free, abs=0.06)


def test_the_phantoms_of_the_shipped_first_network_stay_what_they_were():
    """Drawn as its recipe did, from the same stream in the same order."""
    rng = np.random.default_rng([100_003, 7])
    between, in_plane = float(rng.uniform(2.5, 4.0)), float(rng.uniform(1.3, 1.8))
    shares = {"collapse": 0.2, "effusion": 0.25, "scars": 0.35}
    distractors = tuple(name for name, share in shares.items() if rng.random() < share)
    free, count = rng.random() < 0.15, int(rng.integers(2, 5, endpoint=True))
    lesions = {"lesions": ()} if free else {"lesion_count": count}
    expected = PhantomOptions(spacing_mm=(between, in_plane, in_plane), distractors=distractors, **lesions)
    assert KINDS["plain"].options(100_003) == expected
