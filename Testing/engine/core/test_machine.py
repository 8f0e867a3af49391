"""How a command uses the processor."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from LungTumorSegLib.core.machine import return_freed_memory


@pytest.mark.parametrize(("chosen", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_of_a_command_sleep_unless_the_user_chose_otherwise(
    tmp_path, monkeypatch, run_here, chosen, used
):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if chosen:
        monkeypatch.setenv("OMP_WAIT_POLICY", chosen)

    assert run_here("isolate", tmp_path / "missing.nii", "-o", tmp_path / "lungs.seg.nrrd")[0] == 2

    assert os.environ["OMP_WAIT_POLICY"] == used


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc keeps such memory")
def test_memory_that_an_ended_thread_has_freed_goes_back_to_the_system():
    kept = []

    def fill_and_free():
        blocks = []
        for _ in range(600):
            blocks.append(bytearray(b"x" * 100_000))
            kept.append(bytearray(b"x" * 1_000))  # in between, so that glibc does not shrink the heap by itself
        del blocks

    thread = threading.Thread(target=fill_and_free)
    thread.start()
    thread.join()
    before = resident_bytes()
    return_freed_memory()
    assert resident_bytes() < before - 30e6


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
