"""Checks of the machine that do not need torch: memory, threads and packages."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator

from .errors import MachineLimit
from .messages import OUT_OF_MEMORY, PACKAGE_REMEDY

LEAST_ADDRESS_SPACE = 2 * 1024**3
"""Address space, in bytes, below which numerical libraries do not start.

Below it, some libraries report a missing package; others abort or hang.
"""

NO_MEMORY_TEXTS = (
    "allocate memory",
    "failed to map segment",
    "bad_alloc",
    "failed to allocate",
    "unable to allocate",
)
"""Phrases in exception messages by which native code reports that it ran out of memory."""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""Environment variables that numerical libraries read when they are loaded."""


def use_threads(count: int) -> None:
    """Limit numerical libraries that are not loaded yet to ``count`` threads."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(count)))


def yield_while_waiting() -> None:
    """Let threads of OpenMP libraries that are not loaded yet sleep while they wait for each other.

    By default, they keep their cores busy meanwhile. On a machine with other work, the shipped network then took twice
    as long; on an idle one, the setting makes no difference. A choice of the user stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def return_freed_memory() -> None:
    """Return memory that this process has freed to the system, where the C library (glibc) would keep it.

    glibc keeps what the threads of a computation have freed, also after these have ended: half a gigabyte after the
    shipped network.
    """
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries lack it
        if trim is not None:
            trim(0)


def check_memory_limit() -> None:
    """Check that the operating system lets this process use enough memory to load its libraries.

    Raises:
        MachineLimit: If the limit on the address space is below ``LEAST_ADDRESS_SPACE``.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise MachineLimit(
            f"This process may use only {limit / 1024**3:.1f} GB of memory (ulimit -v), which is not enough; raise "
            f"the limit to {LEAST_ADDRESS_SPACE / 1024**3:.0f} GB or more."
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception, or one in its chain of causes, reports a lack of memory."""
    return any(
        isinstance(each, MemoryError)
        or (
            isinstance(each, ImportError | RuntimeError | OSError)
            and any(text in str(each).lower() for text in NO_MEMORY_TEXTS)
        )
        for each in _causes(error)
    )


def missing_package(error: ImportError) -> str:
    """Return one sentence about a failed import: a package is missing, or is installed but cannot be loaded."""
    if is_out_of_memory(error):
        return OUT_OF_MEMORY
    package = (error.name or "").partition(".")[0]
    if (
        isinstance(error, ModuleNotFoundError)
        and package
        and not package.startswith("_")
        and not _is_installed(package)
    ):
        return f"The package {package} is missing; {PACKAGE_REMEDY}."
    return (
        f"A package could not be loaded ({error}) because memory ran out or the package is damaged; free some memory "
        "or reinstall the package."
    )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(10):  # a bound, because a chain of causes can be circular
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__
