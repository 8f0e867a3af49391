"""What the machine gives a command, told without torch: memory, threads, packages."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

from .errors import OUT_OF_MEMORY, PACKAGE_REMEDY, MachineLimit

LEAST_ADDRESS_SPACE = 2 * 1024**3
"""Bytes of address space below which numerical libraries do not start: some report a missing package, others abort or hang."""

NO_MEMORY_TEXTS = (
    "allocate memory",
    "failed to map segment",
    "bad_alloc",
    "failed to allocate",
    "unable to allocate",
)
"""Stand in the messages of exceptions by which native code reports that memory does not suffice."""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""Environment variables that numerical libraries read when they are loaded."""


def use_threads(count: int) -> None:
    """Let numerical libraries that are not loaded yet use at most ``count`` threads."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(count)))


def check_memory_limit() -> None:
    """Raise MachineLimit where this process may use too little memory to load what it needs."""
    try:
        import resource
    except ImportError:  # Windows knows no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise MachineLimit(
            f"The memory that this process may use is limited to {limit / 1024**3:.1f} GB (ulimit -v), which does not suffice; "
            f"raise the limit to {LEAST_ADDRESS_SPACE / 1024**3:.0f} GB or more."
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception, or one that caused it, comes from a lack of memory."""
    return any(
        isinstance(each, MemoryError)
        or (
            isinstance(each, ImportError | RuntimeError | OSError)
            and any(text in str(each).lower() for text in NO_MEMORY_TEXTS)
        )
        for each in _causes(error)
    )


def missing_package(error: ImportError) -> str:
    """One sentence about an import that failed: a package is missing, or is there and cannot be loaded."""
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
    return f"A package could not be loaded ({error}), for lack of memory or because it is damaged; free memory or install it again."


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(10):  # a circle of causes has no end
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__
