"""Nothing that lies on the disk is missing from an installed extension or an installed wheel, weights included."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "LungTumorSegLib/"


def _shipped_files():
    spec = importlib.util.spec_from_file_location("list_shipped_files", ROOT / "Testing/tools/list_shipped_files.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shipped = _shipped_files()


@pytest.mark.parametrize("name", [shipped.SCRIPTS, shipped.RESOURCES])
def test_cmake_lists_exactly_the_files_on_disk(name):
    listed = shipped.files_in_cmake(shipped.CMAKE_FILE.read_text(), name)
    assert len(listed) == len(set(listed)), "a file is listed twice"
    assert set(listed) == set(shipped.installed_files()[name]), "run: python Testing/tools/list_shipped_files.py"


def test_the_extension_installs_no_training_code():
    installed = [path for paths in shipped.installed_files().values() for path in paths]
    assert [path for path in installed if "/training/" in path] == []
    assert "LungTumorSegLib/pipeline.py" in installed


def test_build_products_do_not_ship(tmp_path):
    for path in ("a.py", "__pycache__/a.pyc", "x.egg-info/PKG-INFO", ".hidden/b.py", "weights/w/model.safetensors"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert shipped.files_on_disk(tmp_path) == {
        shipped.SCRIPTS: ["a.py"],
        shipped.RESOURCES: ["weights/w/model.safetensors"],
    }


@pytest.mark.slow
def test_wheel_holds_exactly_the_package_on_disk(tmp_path):
    source = (
        tmp_path / "source"
    )  # setuptools would leave its build folder, and take stale files from it, in the checkout
    shutil.copytree(
        ROOT / "LungTumorSeg", source / "LungTumorSeg", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    on_disk = {path for paths in shipped.files_on_disk().values() for path in paths if path.startswith(PACKAGE)}
    assert packed == on_disk
