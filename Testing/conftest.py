"""What tests of several rooms share."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

# The workers share the cores; threads beside them would only wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("quick", deadline=None, max_examples=20)  # a time limit would say nothing on a slow machine
settings.register_profile("thorough", deadline=None, max_examples=200)
settings.load_profile("quick")  # unless the option --hypothesis-profile names the other one


LONGEST_FIRST = (
    "engine/test_main_job.py",
    "engine/training/test_stages.py",
    "engine/isolation/test_isolation.py",
    "engine/phantom/test_generate.py",
    "module/test_correct_panel.py",
    "module/test_followup_panel.py",
    "module/test_segment_here.py",
    "module/test_panel.py",
    "module/test_scene.py",
    "module/test_seen_in_slicer.py",
    "engine/results/test_exports.py",
    "engine/followup/test_comparison.py",
    "engine/io/test_dicom_values.py",
    "engine/io/test_fuzz.py",
    "engine/test_imports.py",
)
"""The files that take longest; they start first, so that all test processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; the others keep their order."""
    here, places = Path(__file__).parent, {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.relative_to(here).as_posix(), len(places)))


NEW_OBJECTS = 10_000
"""So many new objects begin a garbage collection during the tests; at Python's 700, it takes some 3 % of their time."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let one test process import torch and the tests before the others, which then find its bytecode.

    Otherwise all of them compile the same files after a new installation, which takes each of them 25 s.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # no process of a run has it but those that run tests
    with first_or_later(run) if run else contextlib.nullcontext(), without_garbage_collection():
        return (yield)


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Collect no garbage meanwhile, and exempt what is there at the end: millions of objects of modules and tests.

    Otherwise a fifth of the collection of the tests goes into looking for garbage among objects that stay, and each
    full garbage collection during the tests takes a second or more.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(NEW_OBJECTS, 10, 10)


@contextlib.contextmanager
def first_or_later(run: str) -> Iterator[None]:
    """Enter at once in the first process of a run, and in the others when that one has left, or has died."""
    try:
        import fcntl
    except ImportError:  # on Windows
        yield
        return
    path = Path(tempfile.gettempdir()) / f"LungTumorSeg-tests-{run}"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(file, fcntl.LOCK_SH)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Report the exit code of a test process that died: the system's signal with a minus sign, or that of an exit."""
    if error:
        print(f" (exit code {node.gateway._io.wait()})", file=sys.stderr)  # noqa: T201


SHARING = {
    "engine/isolation": "isolation",
    "engine/phantom": "phantom",
    "engine/training": "training",
    "engine/networks/test_drawings.py": "training",
    "engine/networks/test_learning.py": "training",
    "engine/networks/test_other_networks.py": "training",
}
"""Files and folders that one test process runs, because each process would make their fixtures again, or load MONAI,
matplotlib and what torch loads for its optimizers and its meta device (``torch._dynamo``)."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a file to one test process, as ``--dist loadfile`` does, and together those of ``SHARING``."""
    from xdist.scheduler import LoadFileScheduling

    class SharingScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            place = file.removeprefix("Testing/")
            return next((name for start, name in SHARING.items() if place.startswith(start)), file)

    return SharingScheduling(config, log)


@pytest.fixture(scope="session")
def real_ct_folder() -> Path:
    """The folder of real CT beside the checkout; tests that ask for it are skipped where it is absent (mark them
    ``real_ct``)."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("The real CT are not on this machine.")
    return folder
