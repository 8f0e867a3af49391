"""What may import what: the engine runs without Slicer and Qt, and loads torch only where networks run."""

import subprocess
import sys
from pathlib import Path

import LungTumorSegLib
import pytest

ROOT = Path(LungTumorSegLib.__file__).parent
MODULES = sorted(
    ".".join(("LungTumorSegLib", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if path.name != "__main__.py" and not path.name.endswith("mrml.py")
)
NEEDS_TORCH = ("LungTumorSegLib.networks", "LungTumorSegLib.inference.predictor", "LungTumorSegLib.training")

BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)
sys.meta_path.insert(0, Block())
import importlib
for module in {modules!r}:
    importlib.import_module(module)
"""


def import_with_blocked(modules, blocked):
    return subprocess.run([sys.executable, "-c", BLOCKED.format(modules=modules, blocked=blocked)], capture_output=True, text=True)


def test_the_engine_imports_without_slicer_and_qt():
    done = import_with_blocked(MODULES, ("slicer", "qt", "ctk", "PySide6"))
    assert done.returncode == 0, done.stderr


def test_everything_but_the_networks_imports_without_torch_and_monai():
    modules = [name for name in MODULES if not name.startswith(NEEDS_TORCH)] + ["LungTumorSegLib.training.metrics"]
    done = import_with_blocked(modules, ("torch", "monai", "safetensors", "slicer"))
    assert done.returncode == 0, done.stderr


def test_only_files_named_mrml_name_slicer_and_none_names_qt():
    texts = {path.name: path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
    assert [name for name, text in texts.items() if "import slicer" in text and not name.endswith("mrml.py")] == []
    assert [name for name, text in texts.items() if "import qt" in text or "import ctk" in text] == []


@pytest.mark.parametrize("name", LungTumorSegLib.__all__)
def test_public_names_are_there(name):
    assert getattr(LungTumorSegLib, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        LungTumorSegLib.nonsense  # noqa: B018
