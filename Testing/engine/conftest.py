"""A synthetic CT with known lesions, and what the shipped model's command makes of it, once for all tests that look at
it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from bright_model import write_bright_model
from commands import run_command
from LungTumorSegLib import cli
from LungTumorSegLib.phantom import LesionSpec, Phantom, PhantomOptions, make_phantom, write_phantom


@dataclass(frozen=True, eq=False)
class Run:
    """A finished ``lungtumorseg segment``: the phantom, the folder with its files, the folder of the results."""

    phantom: Phantom
    ct: Path
    output: Path


@pytest.fixture(scope="session")
def a_phantom_with_two_lesions(tmp_path_factory) -> tuple[Phantom, Path]:
    """A 30 mm lesion in the left lung, one of 18 mm in the right, and the folder where the files lie.

    The scan shows 75 mm of the lungs, which keeps the network's work at a quarter of that of whole lungs.
    """
    lesions = (LesionSpec("solid", 30.0, "lung", "left"), LesionSpec("solid", 18.0, "lung", "right"))
    seen = {"spacing_mm": (3.0, 1.6, 1.6), "height_mm": (-60.0, 15.0), "body_grid_mm": 6.0}
    options = PhantomOptions(**seen, lesions=lesions, distractors=())
    phantom = make_phantom(7101, options)
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(phantom, folder)
    return phantom, folder


@pytest.fixture(scope="session")
def a_run(a_phantom_with_two_lesions, tmp_path_factory) -> Run:
    """The shipped model on the phantom, at an eighth of the shipped setting's time.

    It runs in this process, which has loaded torch and vtk already; `.ci/wheel` runs it in one of its own.
    """
    phantom, folder = a_phantom_with_two_lesions
    output = tmp_path_factory.mktemp("run") / "results"
    run_command("segment", folder / "ct.nii.gz", "-o", output, "--stride", "8", "--no-mirror")
    return Run(phantom, folder / "ct.nii.gz", output)


@pytest.fixture
def run_here(monkeypatch, capsys):
    """``run_here(arguments)``: the exit code of a command that runs in this process, and the lines of its errors."""
    monkeypatch.setattr(cli, "log_safely", lambda level: None)  # it would take log and warnings away from pytest
    monkeypatch.setattr(cli, "set_stdout_aside", io.StringIO)

    def run(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        return code, capsys.readouterr().err.splitlines()

    return run


@pytest.fixture(scope="session")
def a_bright_model(tmp_path_factory) -> Path:
    """A model that calls dense voxels tumor; it takes a hundredth of the shipped one's time."""
    return write_bright_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def a_bright_run(a_bright_model, tmp_path_factory) -> Run:
    """The bright model on a coarse phantom, in this process: for what does not depend on the network."""
    lesions = (LesionSpec("solid", 30.0, "lung", "left"),)
    coarse = {"spacing_mm": (4.0, 3.0, 3.0), "height_mm": (-75.0, 30.0), "body_grid_mm": 6.0}
    options = PhantomOptions(**coarse, lesions=lesions, distractors=(), couch="none")
    phantom = make_phantom(7103, options)
    folder = tmp_path_factory.mktemp("bright")
    write_phantom(phantom, folder / "phantom")
    ct, output = folder / "phantom" / "ct.nii.gz", folder / "results"
    run_command("segment", ct, "-o", output, "--model", a_bright_model, "--no-picture", "--no-report")
    return Run(phantom, ct, output)
