"""Which room may import what: a rule is a folder."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import LungTumorSegLib
import pytest

ROOT = Path(LungTumorSegLib.__file__).parent
TOP_LEVEL = {"__init__.py", "__main__.py", "cli.py", "options.py", "pipeline.py"}
"""The entrances; every other module has a room."""

ROOMS = {
    "slicer": {"mrml"},
    "qt": set(),
    "ctk": set(),
    "torch": {"networks", "inference", "refinement", "training"},
    "monai": {"training"},
}
"""From a package to the rooms that may import it, anywhere in a file."""

MODULES = sorted(
    ".".join(("LungTumorSegLib", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if path.name != "__main__.py" and path.relative_to(ROOT).parts[0] != "mrml"
)
NEEDS_TORCH = (
    "LungTumorSegLib.networks",
    "LungTumorSegLib.inference.part_predictor",
    "LungTumorSegLib.inference.device",
    "LungTumorSegLib.inference.openvino_network",
    "LungTumorSegLib.inference.predictor",
    "LungTumorSegLib.refinement.clicks",
    "LungTumorSegLib.refinement.look",
    "LungTumorSegLib.refinement.outline",
    "LungTumorSegLib.refinement.overlooked",
    "LungTumorSegLib.refinement.places",
    "LungTumorSegLib.refinement.second_look",
    "LungTumorSegLib.training",
)

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
    return subprocess.run(
        [sys.executable, "-c", BLOCKED.format(modules=modules, blocked=blocked)], capture_output=True, text=True
    )


@cache
def imported_packages(path: Path) -> set[str]:
    """The top-level packages that a file imports, also inside functions; relative imports left out."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("package", ROOMS)
def test_a_package_is_imported_in_its_rooms_only(package):
    users = {path.relative_to(ROOT) for path in ROOT.rglob("*.py") if package in imported_packages(path)}
    assert {path.as_posix() for path in users if path.parts[0] not in ROOMS[package]} == set()


def test_no_module_lies_outside_of_a_room():
    assert {path.name for path in ROOT.glob("*.py")} <= TOP_LEVEL


@pytest.mark.slow
def test_the_engine_imports_without_slicer_and_qt():
    """Slow, because it loads every package that a training uses.

    The rooms above and the next test cover most of it.
    """
    done = import_with_blocked(MODULES, ("slicer", "qt", "ctk", "PySide6"))
    assert done.returncode == 0, done.stderr


def test_everything_but_the_networks_imports_without_torch_and_monai():
    modules = [name for name in MODULES if not name.startswith(NEEDS_TORCH)]
    done = import_with_blocked(modules, ("torch", "monai", "safetensors", "slicer", "qt", "ctk", "PySide6"))
    assert done.returncode == 0, done.stderr


COMMANDS_WITHOUT_TORCH = """
import sys
sys.modules.update(torch=None, monai=None, safetensors=None)
from LungTumorSegLib import cli
commands = [
    ["isolate", "none.nii", "-o", "out"], ["measure", "none.nii", "none.nrrd", "-o", "out"],
    ["evaluate", "none.nii", "none.nii"], ["models"],
]
codes = [cli.main(command) for command in commands]
sys.modules.update(vtkmodules=None, SimpleITK=None)
import LungTumorSegLib.isolation.isolate, LungTumorSegLib.results.isolation_writer
sys.exit(codes != [2, 2, 2, 0])
"""


def test_commands_without_a_network_start_without_torch_and_isolate_runs_without_vtk(tmp_path):
    done = subprocess.run([sys.executable, "-c", COMMANDS_WITHOUT_TORCH], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", LungTumorSegLib.__all__)
def test_public_names_are_there(name):
    assert getattr(LungTumorSegLib, name).__name__ == name
    assert name in dir(LungTumorSegLib), "which shells offer for completion"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        LungTumorSegLib.nonsense  # noqa: B018


SLOW_TO_LOAD = ("scipy", "SimpleITK", "vtkmodules", "torch", "jinja2", "highdicom", "pydicom")

REFUSED = """
import sys
from LungTumorSegLib.cli import main
for arguments in {commands!r}:
    assert main(arguments) == 2, arguments
    loaded = [name for name in {slow!r} if name in sys.modules]
    assert not loaded, (arguments, loaded)
"""


def test_what_cannot_be_read_is_refused_before_slow_packages_are_loaded(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "read.me").write_text("no CT")
    (tmp_path / "ct.nii.gz").write_bytes(b"no image")
    missing, no_image, no_ct = (str(tmp_path / name) for name in ("none", "ct.nii.gz", "text"))
    output = ["-o", str(tmp_path / "out")]
    commands = [[name, path, *output] for name in ("segment", "isolate") for path in (missing, no_image, no_ct)]
    commands += [["measure", path, missing, *output] for path in (missing, no_image, no_ct)]
    commands += [["compare", missing, missing, *output], ["evaluate", missing, missing]]
    commands += [[name, "--seed=-1", *output] for name in ("phantom", "demo")]
    commands += [["batch", path, *output] for path in (missing, no_ct)]
    code = REFUSED.format(commands=commands, slow=SLOW_TO_LOAD)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_loads_no_numerical_library():
    code = (
        "import sys; sys.modules.update(numpy=None, pydicom=None); from LungTumorSegLib.cli import main; main(['-h'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
