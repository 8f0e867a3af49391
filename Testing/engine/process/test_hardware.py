"""What a network could run on. A script plays the driver's tool."""

from __future__ import annotations

import os

import pytest
from LungTumorSegLib.process.hardware import describe_devices

CPU = f"CPU: {os.cpu_count()} threads"


@pytest.fixture
def tool(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    def write(script: str) -> None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return write


def test_a_graphics_card_is_named_with_its_memory(tool):
    tool("echo 'NVIDIA RTX A2000, 12282'")
    assert describe_devices() == f"CUDA: NVIDIA RTX A2000, 12 GB\n{CPU}"


def test_a_driver_that_fails_is_no_card(tool):
    tool("exit 9")
    assert describe_devices() == CPU


def test_without_the_tool_there_is_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_devices() == CPU
