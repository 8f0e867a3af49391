"""Maps that are compressed while the run goes on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from LungTumorSegLib.core.computed import SLAB_SLICES, ComputedVolume
from LungTumorSegLib.core.volume import Grid, Volume
from LungTumorSegLib.io.images import read_volume
from LungTumorSegLib.results.map_files import TRACE, MapFiles
from LungTumorSegLib.results.writer import write_result
from made_results import a_result

SHAPE = (3 * SLAB_SLICES, 6, 5)


def a_map(seed: int) -> Volume:
    values = np.random.default_rng(seed).random(SHAPE).astype(np.float32) ** 9
    return Volume(values, np.diag([2.0, 0.7, 0.7, 1.0]))


def test_maps_that_were_begun_early_are_those_of_the_result(tmp_path):
    first, second = a_map(1), a_map(2)
    with MapFiles() as maps:
        assert not maps.begun
        maps.begin(first, second)
        write_result(a_result(), tmp_path, picture=False, maps=maps)
    for name, each in (("probability.nrrd", first), ("disagreement.nrrd", second)):
        stored = read_volume(tmp_path / name)
        assert (each.array < TRACE).any()
        np.testing.assert_array_equal(stored.array, np.where(each.array < TRACE, 0, each.array))
        np.testing.assert_array_equal(stored.affine, each.affine)


def test_a_run_that_ends_early_does_not_wait_for_the_maps(monkeypatch):
    computed, goes_on, shutdown = [], Event(), ThreadPoolExecutor.shutdown

    def release(*arguments, **settings):
        goes_on.set()  # only when the end of the context waits for the thread may its slab go on
        shutdown(*arguments, **settings)

    def part(box):
        computed.append(box)
        goes_on.wait(5)
        return np.zeros([stop - start for start, stop in zip(*box, strict=True)], np.float32)

    slow = ComputedVolume(Grid((12 * SLAB_SLICES, *SHAPE[1:]), a_map(1).affine), part)
    with pytest.raises(KeyboardInterrupt), MapFiles() as maps:  # noqa: PT012
        maps.begin(slow, slow)
        while not computed:
            time.sleep(0.001)
        monkeypatch.setattr(ThreadPoolExecutor, "shutdown", release)
        raise KeyboardInterrupt
    assert len(computed) <= 4, "what the threads had begun, and nothing of the second map"


def test_a_failure_beside_the_run_is_told(tmp_path):
    def part(box):
        raise MemoryError("not enough")

    broken = ComputedVolume(a_map(1).grid, part)
    with MapFiles() as maps:
        maps.begin(a_map(1), broken)
        with pytest.raises(MemoryError, match="not enough"):
            write_result(a_result(), tmp_path, picture=False, maps=maps)
    assert not list(tmp_path.iterdir())
