"""A model is what its manifest says, or it is refused."""

import hashlib
import json

import pytest
import torch
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks.stored import load_model, save_model
from LungTumorSegLib.options import Thresholds
from LungTumorSegLib.weights.manifest import Manifest, find_model, model_folders


@pytest.fixture
def a_model(tmp_path, monkeypatch):
    """A small installed model named tiny."""
    monkeypatch.setenv("LUNGTUMORSEG_MODELS", str(tmp_path))
    torch.manual_seed(2)
    network = build_network("sff_unet3d", 4)
    manifest = Manifest(
        "tiny", "for tests", "sff_unet3d", 4, (3.0, 1.5, 1.5), (-1000.0, 400.0), "", thresholds=Thresholds(0.8, 0.4)
    )
    save_model(network, manifest, tmp_path / "tiny")
    return network.eval(), tmp_path / "tiny"


def test_a_saved_model_comes_back_with_its_manifest_and_answers(a_model):
    network, folder = a_model
    model = load_model("tiny")
    assert model.manifest.thresholds == Thresholds(0.8, 0.4)
    assert model.manifest.spacing_mm == (3.0, 1.5, 1.5)
    stack = torch.rand(1, 1, 8, 16, 24)
    with torch.no_grad():
        assert torch.equal(model.network(stack), network(stack))
    assert not model.network.training
    assert load_model(str(folder)).manifest == model.manifest


def test_installed_models_stand_beside_the_shipped_ones(a_model):
    assert "tiny" in model_folders()


def test_an_unknown_model_is_refused_with_the_known_names(a_model):
    with pytest.raises(UnusableInput, match="tiny"):
        find_model("nonsense")


def test_a_folder_without_a_model_is_named_as_such(tmp_path):
    with pytest.raises(UnusableInput, match=r"has no manifest\.json, so it is no model; choose one of: .*default"):
        find_model(str(tmp_path))


def test_one_changed_byte_in_the_weights_is_noticed(a_model):
    path = a_model[1] / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(MachineLimit, match="damaged"):
        load_model("tiny")


def test_weights_of_another_network_are_refused(a_model):
    path = a_model[1] / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "width": 8}))
    with pytest.raises(MachineLimit, match="do not fit"):
        load_model("tiny")


@pytest.mark.parametrize(
    "damage", [lambda m: "{", lambda m: json.dumps({**m, "schema_version": 99}), lambda m: json.dumps({"id": "tiny"})]
)
def test_a_damaged_manifest_is_refused(a_model, damage):
    path = a_model[1] / "manifest.json"
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(MachineLimit, match="no readable manifest"):
        load_model("tiny")


def test_missing_weights_are_refused(a_model):
    (a_model[1] / "model.safetensors").unlink()
    with pytest.raises(MachineLimit, match="cannot be read"):
        load_model("tiny")


WRONG_VALUES = [
    ("stride", None, "stride must be given"),
    ("stride", 2.5, "stride must be a whole number"),
    ("spacing_mm", [0, 1, 1], "spacing_mm must be 3 numbers from 0.05"),
    ("spacing_mm", [3, 1], "spacing_mm"),
    ("spacing_mm", "311", "spacing_mm"),
    ("intensity_range_hu", [400, -1000], "intensity_range_hu must be rising"),
    ("min_confidence", float("nan"), "NaN is not a number"),
    ("min_confidence", "high", "confidence threshold must be a number"),
    ("width", float("inf"), "Infinity is not a number"),
    ("width", "16", "width must be 1 to"),
    ("width", True, "width must be 1 to"),
    ("width", 10**9, "width must be 1 to"),
    ("network", 3, "network must be a text"),
    ("network", "nonsense", "do not fit its network"),
    ("thresholds", [0.7, 0.5], "thresholds must be gate and voxel"),
    ("thresholds", {"gate": 0.2, "voxel": 0.5}, "thresholds must satisfy"),
    ("mirror", "yes", "Mirroring must be True or False"),
    ("extra", "x" * 100_000, "unknown value 'extra'"),
    ("description", ["x" * 100_000] * 3, "description must be a text"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG_VALUES)
def test_a_manifest_with_a_wrong_value_is_refused_in_one_short_sentence(a_model, name, value, message):
    path = a_model[1] / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(MachineLimit, match=message) as refusal:
        load_model("tiny")
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    "content",
    ["[" * 5000, "null", "[]", '{"schema_version": true}', "\x00", '"' + "x" * 100_000],
    ids=lambda text: text[:20],
)
def test_a_manifest_that_is_none_is_refused_in_one_short_sentence(a_model, content):
    (a_model[1] / "manifest.json").write_text(content)
    with pytest.raises(MachineLimit, match="no readable manifest") as refusal:
        load_model("tiny")
    assert len(str(refusal.value)) < 500


def test_weights_that_are_none_are_refused_even_with_the_right_checksum(a_model):
    for data in (b"", b"nonsense", b"\xff" * 64, (2**40).to_bytes(8, "little") + b"{}"):
        (a_model[1] / "model.safetensors").write_bytes(data)
        path = a_model[1] / "manifest.json"
        checksum = hashlib.sha256(data).hexdigest()
        path.write_text(json.dumps({**json.loads(path.read_text()), "weights_sha256": checksum}))
        with pytest.raises(MachineLimit, match="do not fit its network"):
            load_model("tiny")
