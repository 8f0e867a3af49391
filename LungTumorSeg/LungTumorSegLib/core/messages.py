"""Sentences that several modules show to the user, each written once."""

from __future__ import annotations

from pathlib import Path

PACKAGE_REMEDY = "install it with pip (in Slicer: click Segment again and accept the installation)"
"""What to do about a missing package."""

MEMORY_REMEDY = "close other programs or crop the CT to the chest"
"""What to do when memory runs out."""

OUT_OF_MEMORY = f"There is not enough memory; {MEMORY_REMEDY}."

CANCELLED_MESSAGE = "Cancelled."
CANCELLED_COMMAND = f"{CANCELLED_MESSAGE} No incomplete results were written."
CANCELLED_BATCH = f"{CANCELLED_MESSAGE} Finished CTs are kept; run the same command again to go on."


def out_of_memory_reading(path: Path, size: str = "") -> str:
    """Return the sentence for a file that does not fit into memory; ``size`` describes how much it needs, if known."""
    needed = f" ({size})" if size else ""
    return f"There is not enough memory to read {path}{needed}; {MEMORY_REMEDY}."


def not_finite(what: object) -> str:
    """Return the sentence for an image, named ``what``, with values that are NaN or infinite."""
    return f"{what} contains NaN or infinite values; export it again from its source."


def does_not_exist(path: Path) -> str:
    """Return the sentence for a path that leads to nothing."""
    return f"{path} does not exist; check the path."


def unreadable(path: object, error: OSError) -> str:
    """Return the sentence for a path that exists but that the operating system does not let us read."""
    return f"{path} cannot be read ({error.strerror}); check its permissions."


def unwritable(path: object, error: OSError | None = None) -> str:
    """Return the sentence for an output that could not be written; ``error`` is the operating system's, if any."""
    reason = f" ({error.strerror})" if error is not None else ""
    return f"{path} could not be written{reason}; free some disk space or choose another output folder."


def no_comparison(path: object) -> str:
    """Return the sentence for a file that was given as the followup.json of a comparison, but is something else."""
    return f"{path} is not the followup.json of a comparison; choose the file that compare has written."


def truncated_header(path: Path) -> str:
    """Return the sentence for an image file that ends within its header."""
    return f"{path} is truncated (it ends within its header); copy or export it again."
