"""Every mistake in a configuration is named with its place."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import LungTumorSegLib.training.config as config_module
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.training.config import CaseConfig, TrainingConfig, config_from_dict, read_config

SHIPPED = sorted((Path(config_module.__file__).parent / "configs").glob("*.yaml"))


def test_what_is_not_given_has_its_default():
    assert config_from_dict({"output": "runs/x"}) == TrainingConfig(output="runs/x")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path):
    assert read_config(path).output


def test_sections_lists_and_whole_numbers_are_read(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "output: o\n"
        "grid: {spacing_mm: [3, 1.5, 1.5]}\n"
        "data:\n  cases: [{ct: a.nii.gz, patient: p, lesions: [m.nii.gz], labels: [2]}]\n"
        "extractor: {steps: 7}\n"
    )
    config = read_config(tmp_path / "c.yaml")
    assert config.grid.spacing_mm == (3.0, 1.5, 1.5)
    assert config.data.cases == (CaseConfig("a.nii.gz", "p", lesions=("m.nii.gz",), labels=(2,)),)
    assert config.extractor.steps == 7
    assert config_from_dict(dataclasses.asdict(config)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "The configuration must hold named values"),
        ({}, "lacks the setting 'output'"),
        ({"output": 3}, "output must be of type str, not 3"),
        ({"output": "o", "epochs": 3}, "The configuration has no setting 'epochs'"),
        ({"output": "o", "network": {"step": 3}}, "network has no setting 'step'; it knows steps, epoch_steps"),
        ({"output": "o", "network": {"steps": "many"}}, "network.steps must be of type int, not 'many'"),
        ({"output": "o", "network": {"steps": True}}, "network.steps must be of type int, not True"),
        ({"output": "o", "network": {"steps": 0}}, "network needs steps, epoch_steps and batch of at least 1"),
        ({"output": "o", "network": {"loss": {"bce_weight": "1"}}}, "network.loss.bce_weight must be of type float"),
        (
            {"output": "o", "network": {"loss": {"name": "focal"}}},
            "network.loss.name must be one of bce, .*, not 'focal'",
        ),
        (
            {"output": "o", "extractor": {"schedule": "step"}},
            "extractor.schedule must be one of cosine, .*, not 'step'",
        ),
        ({"output": "o", "network": {"learning_rate": 0}}, "network.learning_rate must be above zero"),
        ({"output": "o", "network": {"prior": 1}}, "network.prior must lie between"),
        ({"output": "o", "grid": {"spacing_mm": 3}}, "grid.spacing_mm must be a list"),
        ({"output": "o", "grid": {"spacing_mm": [3, 1]}}, "grid.spacing_mm must have 3 values, not 2"),
        ({"output": "o", "grid": {"spacing_mm": [3, 1, "x"]}}, r"grid.spacing_mm\[2\] must be of type float"),
        ({"output": "o", "grid": {"spacing_mm": [3, 0, 1]}}, "grid.spacing_mm must be above zero"),
        ({"output": "o", "grid": {"window_hu": [400, -1000]}}, "grid.window_hu must be a lower and a higher"),
        ({"output": "o", "device": "tpu"}, "device must be one of auto, cpu, cuda"),
        ({"output": "o", "sampling": {"crop": [8, 90, 96]}}, "multiples of 8"),
        ({"output": "o", "sampling": {"implants": -1}}, "must not be negative"),
        ({"output": "o", "sampling": {"extra": 1}}, "sampling.extra must be at least 0 and below 1"),
        ({"output": "o", "data": {"cases": [{"ct": "a"}]}}, r"data.cases\[0\] lacks the setting 'patient'"),
        (
            {"output": "o", "data": {"sources": [{"folder": "f", "kind": "zip"}]}},
            r"data.sources\[0\].kind must be one of folders",
        ),
        (
            {
                "output": "o",
                "data": {"phantoms": {"count": 10, "first_seed": 5, "held_out": 1, "first_held_out_seed": 14}},
            },
            "also held out",
        ),
        ({"output": "o", "data": {"split": {"file": "s", "test_share": 0.9}}}, "must leave patients to train on"),
    ],
)
def test_mistakes_are_named_with_their_place(values, message):
    with pytest.raises(UnusableInput, match=message):
        config_from_dict(values)


def test_seeds_side_by_side_are_fine():
    config_from_dict(
        {"output": "o", "data": {"phantoms": {"count": 10, "first_seed": 5, "held_out": 1, "first_held_out_seed": 15}}}
    )


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(UnusableInput, match=r"nowhere\.yaml cannot be read"):
        read_config(tmp_path / "nowhere.yaml")
    (tmp_path / "broken.yaml").write_text("output: [1")
    with pytest.raises(UnusableInput, match=r"broken\.yaml is not valid YAML"):
        read_config(tmp_path / "broken.yaml")
    (tmp_path / "code.yaml").write_text("output: !!python/object/apply:os.getcwd []")
    with pytest.raises(UnusableInput, match=r"code\.yaml is not valid YAML"):
        read_config(tmp_path / "code.yaml")
    (tmp_path / "wrong.yaml").write_text("output: o\ndevice: 1")
    with pytest.raises(UnusableInput, match=r"wrong\.yaml: device must be of type str"):
        read_config(tmp_path / "wrong.yaml")


def test_configurations_and_metrics_are_read_without_torch_and_monai():
    code = "import sys; sys.modules.update(dict.fromkeys(('torch', 'monai', 'tensorboard', 'yaml')))\nimport LungTumorSegLib.training."
    for module in ("config", "splits", "datasets"):
        done = subprocess.run([sys.executable, "-c", code + module], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
