"""The shipped configuration for V-Net on the Medical Segmentation Decathlon, followed as the documentation says."""

import json
from pathlib import Path

import pytest
import yaml
from LungTumorSegLib.cli import main
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.training import config, loop
from LungTumorSegLib.training.settings import merge_settings
from training_cases import a_chest_ct

SHIPPED = Path(config.__file__).parent / "configs/vnet_decathlon.yaml"
PATIENTS = [f"lung_{number:03d}" for number in range(1, 5)]

SMALL = {
    "threads": 1,
    "workers": 0,
    "grid": {"spacing_mm": [6.0, 5.0, 5.5]},
    "model": {"width": 4},
    "data": {"split": {"validation_share": 0.25}},
    "sampling": {"crop": [8, 16, 16]},
    "network": {"steps": 2, "epoch_steps": 2, "mined_cases": 1},
}
"""What makes the shipped training small; everything else stays as it is."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a newcomer, with Task06_Lung in ``data``."""
    task = tmp_path / "data/Task06_Lung"
    ct, label = a_chest_ct()
    for part, volume in (("imagesTr", ct), ("labelsTr", label.with_array((label.array > 0).astype("uint8")))):
        (task / part).mkdir(parents=True)
        for patient in PATIENTS:
            write_volume(volume, task / part / f"{patient}.nii.gz")
    pairs = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in PATIENTS]
    (task / "dataset.json").write_text(json.dumps({"name": "Lung", "training": pairs}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "RECALIBRATION_BATCHES", 1)
    return tmp_path


@pytest.mark.slow
def test_a_newcomer_trains_v_net_with_one_configuration_and_one_command(folder):
    Path("vnet.yaml").write_text(yaml.safe_dump(merge_settings(yaml.safe_load(SHIPPED.read_text()), SMALL)))
    assert main(["train", "vnet.yaml"]) == 0
    split = json.loads(Path("runs/vnet/split.json").read_text())
    parts = [split[part] for part in ("training", "validation", "test")]
    assert [len(part) for part in parts] == [2, 1, 1]
    assert sorted(name for part in parts for name in part) == PATIENTS
    assert load_model("runs/vnet/model").manifest.network == "vnet"
    assert json.loads(Path("runs/vnet/held-out/metrics.json").read_text())["lesions"] >= 1
