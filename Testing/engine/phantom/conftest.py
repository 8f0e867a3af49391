"""Phantoms that several tests look at; coarse voxels and a memory keep them quick."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from LungTumorSegLib.phantom import LesionSpec, Phantom, PhantomOptions, make_phantom

MakePhantom = Callable[[int, PhantomOptions], Phantom]


@pytest.fixture(scope="session")
def phantom_of() -> MakePhantom:
    """``make_phantom`` that makes each phantom once; tests do not change what they get."""
    return cache(make_phantom)


@pytest.fixture(scope="session")
def a_phantom_with_two_lesions(phantom_of: MakePhantom) -> Phantom:
    """A native scan without noise: a right ground-glass lesion of 24 mm at the pleura and a left solid one of 40 mm
    in the lung."""
    lesions = (LesionSpec("ground_glass", 24.0, "pleura", "right"), LesionSpec("solid", 40.0, "lung", "left"))
    spacing_mm = (5.0, 2.6, 2.3)  # unequal on every axis, so that a swapped axis shows
    options = PhantomOptions(
        spacing_mm=spacing_mm,
        lesions=lesions,
        noise_hu=0,
        enhancement_hu=0,
        distractors=(),
        emphysema=0,
        scoliosis_mm=14,
        arms="up",
        body_grid_mm=6.0,
    )
    return phantom_of(4, options)
