"""Write one scene per scene version to Testing/data/scenes: ``python Testing/tools/write_scenes.py``.

The scenes hold the canned result of the module's self-test. A scene that exists is kept, because it shows what was
written when its version was current.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("Testing", "Testing/helpers", "LungTumorSeg")]

import slicer
from stand_in import application

SCENES = ROOT / "Testing" / "data" / "scenes"
MODULE_FILE = ROOT / "LungTumorSeg" / "LungTumorSeg.py"


def load_module() -> Any:
    """Return LungTumorSeg.py, loaded as Slicer does."""
    slicer.modules.lungtumorseg = types.SimpleNamespace(path=str(MODULE_FILE))
    spec = importlib.util.spec_from_file_location("LungTumorSeg", MODULE_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["LungTumorSeg"] = module
    spec.loader.exec_module(module)
    return module


def make_scene(logic: Any, version: int, folder: Path) -> None:
    """Fill the scene with a result as a scene version stored it; Tumor 1 is confirmed, Tumor 2 rejected."""
    from LungTumorSegLib.mrml import results as mrml
    from LungTumorSegLib.mrml import volume_nodes
    from LungTumorSegPanel.canned_result import cannedCT, cannedResult
    from old_scenes import as_version_1, as_version_2, as_version_3

    slicer.mrmlScene.Clear(0)
    volume = cannedCT(slicer.mrmlScene)
    segmentation = mrml.load_results(cannedResult(volume_nodes.volume_of_node(volume), folder), volume)
    parameters = logic.getParameterNode()
    parameters.inputVolume, parameters.outputSegmentation, parameters.stride = volume, segmentation, 3
    if version > 1:
        logic.corrections(segmentation).confirm("Tumor_1")
        logic.corrections(segmentation).reject("Tumor_2")
        logic.measureLesions(segmentation)
    older = {1: as_version_1, 2: as_version_2, 3: as_version_3}.get(version)
    if older is not None:
        older(segmentation, parameters.parameterNode)


def main() -> None:
    """Write the scenes that are missing."""
    with tempfile.TemporaryDirectory() as temporary:
        application.install(Path(temporary))
        module = load_module()
        from LungTumorSegLib.mrml.upgrade import VERSION

        SCENES.mkdir(exist_ok=True)
        for version in range(1, VERSION + 1):
            path = SCENES / f"version_{version}.mrb"
            if not path.exists():
                make_scene(module.LungTumorSegLogic(), version, Path(temporary))
                assert slicer.mrmlScene.WriteToMRB(str(path)), path


if __name__ == "__main__":
    main()
