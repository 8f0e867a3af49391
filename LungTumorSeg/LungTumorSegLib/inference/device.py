"""Where the networks compute, and in which number format: the choice of both, and the context for the latter."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ..core.errors import MachineLimit, UnusableInput
from .backend import OPENVINO, TORCH
from .openvino_network import computes_in

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

BFLOAT16_FEATURES = ("amx_bf16", "avx512_bf16")
"""CPU instruction sets that compute in bfloat16. Other CPUs emulate it, which is slower than single precision."""


def choose_device(wanted: str = "auto", backend: str = TORCH) -> torch.device:
    """Select the device for inference.

    Args:
        wanted: "auto", "cpu" or "cuda".
        backend: The library that computes the network, "torch" or "openvino".

    Returns:
        The device; "auto" selects CUDA if it is available and the backend computes on it.

    Raises:
        MachineLimit: CUDA was requested, but torch finds no CUDA device.
        UnusableInput: ``wanted`` is another word, or the backend does not compute on that device.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UnusableInput(f"The device must be auto, cpu or cuda, not {wanted!r}.")
    if backend == OPENVINO:
        if wanted == "cuda":
            raise UnusableInput("OpenVINO computes on the CPU only; choose the device cpu, or the backend torch.")
        wanted = "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise MachineLimit("PyTorch found no CUDA device; choose the device auto or cpu.")
    return torch.device("cpu" if wanted == "cpu" or not torch.cuda.is_available() else "cuda")


def choose_precision(wanted: str, device: torch.device, backend: str = TORCH) -> str:
    """Select the precision for inference.

    Args:
        wanted: "auto", "float32" or "bfloat16".
        device: The device that computes.
        backend: The library that computes the network, "torch" or "openvino".

    Returns:
        "float32" or "bfloat16"; "auto" selects bfloat16 if the device computes in it natively.

    Raises:
        MachineLimit: OpenVINO does not compute in the wanted precision on this CPU.
        UnusableInput: ``wanted`` is another word.
    """
    if wanted in DTYPES:
        if backend == OPENVINO and not computes_in(wanted):
            raise MachineLimit(
                f"OpenVINO does not compute in {wanted} on this processor; choose the precision auto or float32, or "
                "the backend torch."
            )
        return wanted
    if wanted != "auto":
        raise UnusableInput(f"The precision must be auto, float32 or bfloat16, not {wanted!r}.")
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # Older versions of torch cannot report capabilities; single precision is the safe choice there.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bfloat16" if any(capabilities.get(name) for name in BFLOAT16_FEATURES) else "float32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return a context in which the network computes in ``precision``; it does nothing for float32."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, DTYPES[precision])
