"""What is missing, and what pip would replace."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from LungTumorSegLib.process import packages
from LungTumorSegLib.process.packages import (
    PipStep,
    dry_run,
    listening_to_pip,
    missing_packages,
    read_requirements,
    replaced_packages,
)

REQUIREMENTS = Path(packages.__file__).parents[2] / "Resources" / "requirements.txt"
BUNDLED = {"numpy", "scipy", "simpleitk", "vtk", "torch", "slicer-core", "pyside6", "pyside6-essentials", "pydicom"}


@pytest.fixture
def versions(monkeypatch):
    """Pretended installed packages."""
    installed = {"torch": "2.13.0+cpu", "numpy": "2.4.6", "safetensors": "0.3.9", "typing_extensions": "4.12"}

    def version(name):
        if name.lower() not in installed:
            raise packages.importlib.metadata.PackageNotFoundError(name)
        return installed[name.lower()]

    monkeypatch.setattr(packages.importlib.metadata, "version", version)


def test_the_requirements_file_names_nothing_that_slicer_bundles():
    names = {re.split(r"[<>=!~\[; ]", line)[0].lower().replace("_", "-") for line in read_requirements(REQUIREMENTS)}
    assert names, "the file is empty"
    assert not names & BUNDLED


def test_comments_and_empty_lines_are_no_requirements(tmp_path):
    (tmp_path / "r.txt").write_text("# why\n\nsafetensors>=0.4  # weights\n")
    assert read_requirements(tmp_path / "r.txt") == ["safetensors>=0.4"]


@pytest.mark.parametrize(
    ("requirement", "missing"),
    [
        ("torch>=2.8", False),
        ("torch>=2.13.1", True),
        ("torch>=3", True),
        ("safetensors>=0.4", True),
        ("numpy", False),
        ("absent", True),
    ],
)
def test_absent_and_old_packages_are_missing(versions, requirement, missing):
    assert missing_packages([requirement]) == ([requirement] if missing else [])


def test_versions_are_compared_as_numbers(versions):
    assert missing_packages(["torch>=2.9"]) == [], "2.13 is later than 2.9"


def test_other_forms_of_requirements_are_refused():
    with pytest.raises(ValueError, match=r"'torch==2\.8' must read name or name>=version"):
        missing_packages(["torch==2.8"])


def test_pip_replacing_an_installed_package_is_noticed_but_an_asked_upgrade_is_not(versions):
    report = json.dumps(
        {"install": [{"metadata": {"name": n, "version": "9"}} for n in ("safetensors", "NumPy", "brand-new")]}
    )
    assert replaced_packages(report, ["safetensors>=0.4"]) == ["NumPy"]


def test_a_failed_dry_run_gives_pips_last_line(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'trace' >&2\necho 'ERROR: no network' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(RuntimeError, match=r"^ERROR: no network$"):
        dry_run(str(program), ["safetensors"])


def test_a_dry_run_asks_pip_for_wheels_and_a_report(tmp_path):
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    asked = dry_run(str(program), ["safetensors>=0.4"]).split()
    assert asked[:3] == ["-m", "pip", "install"]
    assert {"--dry-run", "--only-binary", "--report", "safetensors>=0.4"} <= set(asked)


PIP_LINES = """Collecting torch>=2.8
  Downloading torch-2.8.0-cp312-cp312-win_amd64.whl (240.0 MB)
Progress 0 of 240000000
Progress 60000000 of 240000000
Collecting filelock
  Downloading https://files.example/filelock-3.18.0-py3-none-any.whl.metadata (2.9 kB)
Installing collected packages: filelock, torch
Successfully installed filelock-3.18.0 torch-2.8.0
"""


def test_what_pip_prints_becomes_steps_and_its_progress_bar_stays_out_of_the_console(capsys, monkeypatch):
    monkeypatch.delenv("PIP_PROGRESS_BAR", raising=False)
    steps = []
    with listening_to_pip(steps.append):
        assert os.environ["PIP_PROGRESS_BAR"] == "raw"
        for line in PIP_LINES.splitlines():
            print(line)  # noqa: T201  as Slicer does
    assert steps == [
        PipStep("downloading", "torch"),
        PipStep("downloading", "torch", 0, 240_000_000),
        PipStep("downloading", "torch", 60_000_000, 240_000_000),
        PipStep("downloading", "filelock"),
        PipStep("unpacking"),
    ]
    assert capsys.readouterr().out == "".join(
        line for line in PIP_LINES.splitlines(True) if not line.startswith("Progress")
    )
    assert "PIP_PROGRESS_BAR" not in os.environ


def test_a_failed_installation_leaves_stdout_and_environment_as_they_were(monkeypatch):
    monkeypatch.setenv("PIP_PROGRESS_BAR", "off")
    stdout = sys.stdout
    with pytest.raises(RuntimeError, match="no network"), listening_to_pip(print):
        raise RuntimeError("no network")
    assert os.environ["PIP_PROGRESS_BAR"] == "off"
    assert sys.stdout is stdout
