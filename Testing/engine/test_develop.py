"""The set-up of a fresh machine: what is installed from where, and that every version is pinned."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


@pytest.fixture
def develop():
    spec = importlib.util.spec_from_file_location("develop", ROOT / "develop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pinned() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith("#")}


def needed(requirements: list[str]) -> set[str]:
    """The names of installed packages behind ``requirements``, directly or through others."""
    names, waiting = set(), [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in names or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            behind = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        names.add(name)
        waiting += [Requirement(text) for text in behind]
    return names


def test_every_package_is_pinned_those_behind_the_packages_too():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [
        *project["dependencies"],
        *extras["segment"],
        *extras["dicom"],
        *extras["terminal"],
        *extras["train"],
        *extras["docs"],
        *extras["test"],
    ]
    names = needed([text for text in asked if not text.startswith(project["name"])])
    assert len(names) > 30
    assert names - pinned() == set()


@pytest.mark.parametrize(
    ("torch", "card", "reachable", "platform", "arguments"),
    [
        (None, False, True, "linux", ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]),
        (None, False, False, "linux", []),
        (None, True, True, "linux", []),
        (None, False, True, "darwin", []),
        ("2.9.0+cpu", False, True, "linux", []),
    ],
)
def test_torch_for_processors_is_preferred_where_there_is_no_cuda_card(
    develop, monkeypatch, torch, card, reachable, platform, arguments
):
    monkeypatch.setattr(develop, "has_cuda_card", lambda: card)
    monkeypatch.setattr(develop, "is_reachable", lambda address: reachable)
    monkeypatch.setattr(develop.sys, "platform", platform)
    assert develop.torch_index(torch) == arguments


def test_a_torch_that_is_installed_stays_whatever_its_version(develop):
    lines = develop.chosen_constraints("2.9.0+cpu").splitlines()
    assert [line for line in lines if line.startswith("torch==")] == ["torch==2.9.0+cpu"]
    assert "torch==2.13.0" in develop.chosen_constraints(None).splitlines()
    assert develop.chosen_constraints(None, only_torch=True) == "torch==2.13.0\n"


def test_what_will_be_downloaded_is_said(develop, monkeypatch):
    monkeypatch.setattr(develop, "has_cuda_card", lambda: True)
    assert "about 3 GB" in develop.describe_download(None)
    assert "2.9.0 is there already" in develop.describe_download("2.9.0")


def test_a_python_without_venv_is_named_and_leaves_no_folder(develop, monkeypatch, tmp_path):
    def fails(folder, *, with_pip):
        folder.mkdir()
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(develop.venv, "create", fails)
    with pytest.raises(SystemExit, match="python3-venv"):
        develop.make_environment(tmp_path / "environment", "test")
    assert not (tmp_path / "environment").exists()


def test_a_silent_installation_says_every_while_how_long_it_takes(develop, monkeypatch, capsys):
    monkeypatch.setattr(develop, "LINE_SECONDS", 0.05)
    develop.run_with_time([develop.sys.executable, "-c", "import time; time.sleep(0.4)"])
    assert "... installing for" in capsys.readouterr().out
    with pytest.raises(develop.subprocess.CalledProcessError):
        develop.run_with_time([develop.sys.executable, "-c", "raise SystemExit(3)"])


def test_ci_installs_every_pin_and_nothing_else_from_the_places_that_pip_uses(develop, monkeypatch, tmp_path):
    runs = []
    monkeypatch.setattr(develop, "run_with_time", lambda *commands: runs.extend(commands))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://one.example/simple https://two.example/simple")
    pins, index = develop.chosen_constraints(None), ["--extra-index-url", develop.CPU_INDEX]
    develop.install_pins([develop.sys.executable, "-m", "pip", "install"], pins, tmp_path, index)
    own, others, checkout, check = runs
    assert Path(others[-1]).read_text(encoding="utf-8") == pins
    assert own[-1] in pins.splitlines()
    assert own[-1].startswith("uv==")
    assert all("--no-deps" in command for command in (own, others, checkout))
    indexes = [place for option, place in itertools.pairwise(others) if option == "--extra-index-url"]
    assert {"https://one.example/simple", "https://two.example/simple", develop.CPU_INDEX} <= set(indexes)
    assert checkout[-2:] == ["-e", "."]
    assert check[1:5] == ["-m", "uv", "pip", "check"], "what is pinned has to be all that is needed"


def test_pip_installs_the_pins_where_uv_cannot(develop, monkeypatch, tmp_path, capsys):
    runs = []

    def run(command):
        runs.append(command)
        if "uv" in command:
            raise develop.subprocess.CalledProcessError(2, command)

    monkeypatch.setattr(develop, "run_with_time", run)
    pins = develop.chosen_constraints(None)
    develop.install_pins([develop.sys.executable, "-m", "pip", "install"], pins, tmp_path, ["--find-links", "here"])
    _own, failed, instead, checkout, check = runs
    assert check[1:] == ["-m", "pip", "check"]
    assert failed[-1] == instead[-1] == str(tmp_path / "pins.txt")
    assert instead[1:4] == checkout[1:4] == ["-m", "pip", "install"]
    assert "--find-links" in instead
    assert "so pip does it" in capsys.readouterr().out


def test_several_installations_run_at_a_time_and_each_may_fail(develop):
    def program(code):
        return [develop.sys.executable, "-c", f"raise SystemExit({code})"]

    develop.run_with_time(program(0), program(0))
    with pytest.raises(develop.subprocess.CalledProcessError):
        develop.run_with_time(program(0), program(4))


def test_what_runs_beside_the_tests_is_shown_after_them_and_its_failure_counts(develop, capfd):
    def program(text, code):
        return [develop.sys.executable, "-c", f"print({text!r}); raise SystemExit({code})"]

    assert develop.run_beside(program("long", 0), [program("types", 0)]) == 0
    assert develop.run_beside(program("long", 0), [program("types", 3), program("docs", 0)]) == 3
    assert develop.run_beside(program("long", 1), [program("types", 0)]) == 1
    lines = [line for line in capfd.readouterr().out.splitlines() if not re.match(r"\d\d:\d\d:\d\d \$ ", line)]
    assert lines == ["long", "types", "long", "types", "docs", "long", "types"]


def test_commands_store_the_bytecode_that_they_compile(develop, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    program = [develop.sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"]
    assert develop.run_beside(program, [program]) == 0
    assert [line for line in capfd.readouterr().out.splitlines() if " $ " not in line] == ["False", "False"]


def test_ci_checks_types_documentation_and_wheel_beside_the_tests(develop):
    *others, wheel = develop.side_commands("python", "ci")
    assert [command[2] for command in others] == ["mypy", "mkdocs"]
    assert (ROOT / wheel[1]).is_file()
    assert [command[2] for command in develop.side_commands("python", "test")] == ["mypy"]
    assert develop.side_commands("python", "docs") == []


def test_without_extras_there_is_no_torch_and_the_demo_installs_it(develop):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    network = {"torch", "safetensors"}
    assert not network & {Requirement(text).name for text in project["dependencies"]}
    assert {Requirement(text).name for text in project["optional-dependencies"]["segment"]} == network
    assert develop.EXTRAS["demo"] == "[segment]"
