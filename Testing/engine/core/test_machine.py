"""How a command uses the processor."""

from __future__ import annotations

import os

import pytest


@pytest.mark.parametrize(("chosen", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_of_a_command_sleep_unless_the_user_chose_otherwise(
    tmp_path, monkeypatch, run_here, chosen, used
):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if chosen:
        monkeypatch.setenv("OMP_WAIT_POLICY", chosen)

    assert run_here("isolate", tmp_path / "missing.nii", "-o", tmp_path / "lungs.seg.nrrd")[0] == 2

    assert os.environ["OMP_WAIT_POLICY"] == used
