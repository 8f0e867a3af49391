"""What tests of several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # the workers share the cores; threads beside them would only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # how long an example may take says nothing on a slow one
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def real_ct_folder() -> Path:
    """The folder of real CT beside the checkout; tests that ask for it are skipped where it is absent (mark them
    ``real_ct``)."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("The real CT are not on this machine.")
    return folder
