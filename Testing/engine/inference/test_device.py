"""Where the networks compute, and in which number format."""

import pytest
import torch
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.inference.device import autocast, choose_device, choose_precision

CPU = torch.device("cpu")


def test_unknown_words_and_missing_hardware_are_refused():
    with pytest.raises(UnusableInput, match="auto, cpu or cuda"):
        choose_device("tpu")
    with pytest.raises(UnusableInput, match="float32 or bfloat16"):
        choose_precision("float16", CPU)
    if not torch.cuda.is_available():
        with pytest.raises(MachineLimit, match="no CUDA"):
            choose_device("cuda")
        assert choose_device("auto") == CPU


def test_auto_precision_follows_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False, "avx512_bf16": True}, raising=False)
    assert choose_precision("auto", CPU) == "bfloat16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    assert choose_precision("auto", CPU) == "float32"


def test_float32_is_left_alone_and_bfloat16_is_used_where_asked_for():
    layer, x = torch.nn.Linear(4, 3), torch.ones(2, 4)
    with autocast(CPU, "float32"):
        assert layer(x).dtype == torch.float32
    with autocast(CPU, "bfloat16"):
        assert layer(x).dtype == torch.bfloat16
    assert not torch.is_autocast_enabled("cpu")
