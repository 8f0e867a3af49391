"""Choice of the library that computes the network: PyTorch, or OpenVINO on a CPU.

This module imports neither library, so that a run without OpenVINO can be refused before it begins.
"""

from __future__ import annotations

from importlib.util import find_spec

from ..core.errors import MachineLimit, UnusableInput
from ..core.texts import quoted

TORCH, OPENVINO = "torch", "openvino"

OPENVINO_MISSING = (
    "The backend openvino needs the package openvino, which is not installed; install it with 'pip install openvino', "
    "or choose the backend torch."
)


def choose_backend(wanted: str) -> str:
    """Select the library that computes the network.

    ``auto`` always selects torch. With oneDNN chosen by hand, torch needs 1.1 times the processor time of OpenVINO for
    one stack of the shipped network in float32 (see docs/performance.md), which hardly repays the conversion.

    Args:
        wanted: "auto", "torch" or "openvino".

    Returns:
        "torch" or "openvino".

    Raises:
        MachineLimit: OpenVINO is wanted but not installed.
        UnusableInput: ``wanted`` is another word.
    """
    if wanted not in ("auto", TORCH, OPENVINO):
        raise UnusableInput(f"The backend must be auto, torch or openvino, not {quoted(wanted)}.")
    if wanted == OPENVINO and find_spec("openvino") is None:
        raise MachineLimit(OPENVINO_MISSING)
    return OPENVINO if wanted == OPENVINO else TORCH
