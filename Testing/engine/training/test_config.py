"""Every mistake in a configuration is named with its place."""

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import LungTumorSegLib.training.config as config_module
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.training.config import TrainingConfig, config_from_dict, read_config, step_config
from LungTumorSegLib.training.data_config import CaseConfig
from LungTumorSegLib.training.settings import config_schema

FOLDER = Path(config_module.__file__).parent / "configs"
SHIPPED = sorted(path for path in FOLDER.glob("*.yaml") if path.stem != "second_look")


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
        ({"output": 3}, "output must be a valid string, not 3"),
        ({"output": "o", "epochs": 3}, "The configuration has no setting 'epochs'"),
        ({"output": "o", "network": {"step": 3}}, "network has no setting 'step'; its settings are steps, epoch_steps"),
        ({"output": "o", "network": {"steps": "many"}}, "network.steps must be a valid integer, not 'many'"),
        ({"output": "o", "network": {"steps": True}}, "network.steps must be a valid integer, not True"),
        ({"output": "o", "network": {"steps": 0}}, "network.steps must be greater than or equal to 1, not 0"),
        ({"output": "o", "network": {"loss": {"bce_weight": "1"}}}, "network.loss.bce_weight must be a valid number"),
        (
            {"output": "o", "network": {"loss": {"name": "focal"}}},
            "network.loss.name must be 'bce', .*, not 'focal'",
        ),
        (
            {"output": "o", "extractor": {"schedule": "step"}},
            "extractor.schedule must be 'cosine', .*, not 'step'",
        ),
        ({"output": "o", "network": {"learning_rate": 0}}, "network.learning_rate must be greater than 0"),
        ({"output": "o", "network": {"prior": 1}}, "network.prior must be less than 1"),
        ({"output": "o", "grid": {"spacing_mm": 3}}, "grid.spacing_mm must be a valid tuple"),
        ({"output": "o", "grid": {"spacing_mm": [3, 1]}}, "grid.spacing_mm must have more than 2 values"),
        ({"output": "o", "grid": {"spacing_mm": [3, 1, "x"]}}, r"grid.spacing_mm\[2\] must be a valid number"),
        ({"output": "o", "grid": {"spacing_mm": [3, 0, 1]}}, r"grid.spacing_mm\[1\] must be greater"),
        ({"output": "o", "grid": {"window_hu": [400, -1000]}}, "grid.window_hu must be a lower and a higher"),
        ({"output": "o", "device": "tpu"}, "device must be 'auto', 'cpu' or 'cuda'"),
        ({"output": "o", "sampling": {"crop": [8, 90, 96]}}, r"sampling.crop\[1\] must be a multiple of 8"),
        ({"output": "o", "sampling": {"crop": [16, 96, 96]}}, r"sampling.crop\[0\] must be 8, because .* not 16"),
        (
            {"output": "o", "chain": [{"name": "a"}, {"name": "b", "sampling": {"crop": [4, 96, 96]}}]},
            r"chain\[1\]: sampling.crop\[0\] must be 8, because .* not 4",
        ),
        ({"output": "o", "sampling": {"implants": -1}}, "sampling.implants must be greater than or equal to 0"),
        ({"output": "o", "sampling": {"extra": 1}}, "sampling.extra must be less than 1"),
        ({"output": "o", "data": {"cases": [{"ct": "a"}]}}, r"data.cases\[0\] lacks the setting 'patient'"),
        (
            {"output": "o", "data": {"sources": [{"folder": "f", "kind": "zip"}]}},
            r"data.sources\[0\].kind must be 'folders'",
        ),
        (
            {
                "output": "o",
                "data": {"phantoms": {"count": 10, "first_seed": 5, "held_out": 1, "first_held_out_seed": 14}},
            },
            "also held-out",
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
    (tmp_path / "empty.yaml").write_text("# nothing yet")
    with pytest.raises(UnusableInput, match=r"empty\.yaml is empty"):
        read_config(tmp_path / "empty.yaml")
    (tmp_path / "ct.yaml").write_bytes(b"\x1f\x8b")
    with pytest.raises(UnusableInput, match=r"ct\.yaml is not UTF-8 text; choose a YAML file"):
        read_config(tmp_path / "ct.yaml")
    (tmp_path / "code.yaml").write_text("output: !!python/object/apply:os.getcwd []")
    with pytest.raises(UnusableInput, match=r"code\.yaml is not valid YAML"):
        read_config(tmp_path / "code.yaml")
    (tmp_path / "wrong.yaml").write_text("output: o\ndevice: 1")
    with pytest.raises(UnusableInput, match=r"wrong\.yaml: device must be 'auto'"):
        read_config(tmp_path / "wrong.yaml")


def test_configurations_and_metrics_are_read_without_torch_and_monai():
    code = "import sys; sys.modules.update(dict.fromkeys(('torch', 'monai', 'tensorboard', 'yaml')))\n"
    code += "from LungTumorSegLib.training import config, splits, datasets"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": -1}, "seed must be greater than or equal to 0"),
        ({"threads": -1}, "threads must be greater than or equal to 0"),
        ({"threads": 10**30}, "threads must be less than or equal to"),
        ({"sampling": {"crop": [8, 80_000, 80_000]}}, r"sampling.crop\[1\] must be less than or equal to 1024"),
        ({"network": {"learning_rate": float("nan")}}, "network.learning_rate must be a finite number"),
        ({"network": {"clip": float("inf")}}, "network.clip must be a finite number"),
        (
            {"data": {"sources": [{"folder": "f", "kind": "folders", "patient_pattern": "("}]}},
            "is not a regular expression",
        ),
        ({"data": {"sources": [{"folder": "f", "kind": "folders", "patient_pattern": "a"}]}}, "needs a group"),
        ({"device": "x" * 100_000}, "device must be 'auto'"),
        ({"device": [["x" * 100_000] * 10]}, "device must be 'auto'"),
        ({"x" * 100_000: 1}, "has no setting 'xxx"),
        ({"\x1b[31m": 1}, "has no setting"),
        ({3: 1}, "must have text keys, not 3"),
    ],
)
def test_no_value_makes_a_long_message_or_a_traceback(values, message):
    with pytest.raises(UnusableInput, match=message) as refusal:
        config_from_dict({"output": "o", **values})
    assert len(str(refusal.value)) < 600
    assert "\x1b" not in str(refusal.value)


YAMLS = {
    "an impossible date": "seed: 2020-99-99",
    "an empty number": "seed: !!int ''",
    "text tagged as a number": "seed: !!float abc",
    "many brackets": "[" * 5000,
    "a list as a key": "? [1, 2]\n: 3",
    "a mapping as a key": "{{a: 1}: 2}",
    "text tagged as binary": "seed: !!binary x",
    "an alias of itself": "&a [*a]",
    "a section that is itself": "output: o\nnetwork: &a\n  loss: *a",
    "no text": "\x00",
    "an object": "!!python/object/apply:os.getcwd []",
    "a merge of a number": "<<: 3",
    "a timestamp": "seed: 2020-01-01T99:99:99",
    "a huge number in base 60": "seed: " + ":".join(["59"] * 5000),
    "a long number": "seed: " + "9" * 5000,
    "a set": "!!set {a, b}",
    "an omap": "!!omap 3",
    "nothing": "",
}


@pytest.mark.parametrize("text", YAMLS.values(), ids=YAMLS)
def test_no_yaml_makes_a_traceback_or_a_long_message(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UnusableInput, match=r"c\.yaml") as refusal:
        read_config(tmp_path / "c.yaml")
    assert len(str(refusal.value)) < 700


@given(st.text(alphabet=st.sampled_from(list("[]{}:,&*!?|>-'\"%@#ab01 \n\t~.<")), max_size=60))
def test_any_text_is_a_configuration_or_is_refused(text):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "c.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(UnusableInput):
            read_config(Path(folder) / "c.yaml")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(UnusableInput, match="is not a file"):
        read_config(tmp_path)


def test_the_schema_for_editors_is_the_one_that_is_checked():
    stored = json.loads((SHIPPED[0].parent / "training.schema.json").read_text(encoding="utf-8"))
    assert stored == config_schema(TrainingConfig)
    assert "the schedule is shortened" in json.dumps(stored), "editors show what a setting means"


def test_no_recipe_trains_on_a_ct_that_only_validates():
    for path in FOLDER.glob("*.yaml"):
        for name in ("lung1_001", "bg_petct_5mm", "ibsi1_phantom"):
            assert name not in path.read_text(encoding="utf-8"), path.name


def test_the_recipe_for_more_of_the_world_has_large_masses_and_other_scanners():
    config = read_config(FOLDER / "world.yaml")
    assert len(config.data.cases) == 8
    assert config.data.phantoms.kind == "varied"
    for number, step in enumerate(config.chain):
        if not step.mean_of:
            sampling = step_config(config, number).sampling
            assert 0.2 <= sampling.masses <= 0.25
            assert all(dataclasses.asdict(sampling.appearance).values()), "no change is left out"


# Chains


def a_chain(*steps, **values):
    return {"output": "o", "seed": 4, "chain": list(steps), **values}


def test_a_step_has_the_settings_of_the_whole_with_its_own_in_their_place():
    config = config_from_dict(
        a_chain(
            {"name": "a"},
            {"name": "b", "network": {"steps": 7, "loss": {"bce_weight": 3.0}}, "sampling": {"large": 0.5}},
            {"name": "c", "seed": 1, "start": "a"},
            network={"learning_rate": 0.5},
            start_from="default",
        )
    )
    a, b, c = (step_config(config, number) for number in range(3))
    assert a == dataclasses.replace(config, chain=())
    assert (b.seed, b.start_from, b.network.steps, b.sampling.large) == (5, "a", 7, 0.5)
    assert (b.network.learning_rate, b.network.loss.bce_weight, b.network.loss.dice_weight) == (0.5, 3.0, 1.0)
    assert (c.seed, c.start_from, c.network) == (1, "a", a.network)
    assert config_from_dict(dataclasses.asdict(config)) == config


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"name": ""}], r"chain\[0\].name must consist of letters"),
        ([{"name": "../a"}], r"chain\[0\].name must consist of letters"),
        ([{"name": "extractor"}], "must not be extractor"),
        ([{"name": "a"}, {"name": "A"}], r"chain\[1\].name 'A' is used twice"),
        ([{"name": "a"}, {"name": "b", "start": "c"}], r"chain\[1\] refers to 'c', which is no earlier step"),
        ([{"name": "a", "mean_of": ["a"]}], r"chain\[0\] refers to 'a', which is no earlier step"),
        ([{"name": "a"}, {"name": "b", "mean_of": ["a"], "seed": 3}], r"chain\[1\] averages weights"),
        ([{"name": "start_from"}], "must not be start_from, the model before"),
        ([{"name": "a"}, {"name": "b", "mean_of": ["a", "start_from"]}], r"chain\[1\] refers to 'start_from'"),
        ([{"name": "a"}, {"name": "b", "mean_of": ["a"], "mean_shares": [1, 2]}], r"chain\[1\].mean_shares must have"),
        ([{"name": "a", "output_logit": 0.4}], r"chain\[0\] must have mean_of, or neither"),
        ([{"name": "a", "mean_shares": [0.0]}], r"chain\[0\].mean_shares\[0\] must be"),
        ([{"name": "a"}, {"name": "b", "network": {"step": 3}}], r"chain\[1\]: network has no setting 'step'"),
        ([{"name": "a"}, {"name": "b", "network": {"loss": 3}}], r"chain\[1\]: network.loss must hold named values"),
        ([{"name": "a", "steps": 3}], r"chain\[0\] has no setting 'steps'"),
        ([{"name": "a", "network": {"freeze_norm_at": 0.0}}], r"chain\[0\]: network.freeze_norm_at must be above 0"),
        ([{"name": "a", "network": {"ema": 0.9}}], r"chain\[0\]: network.freeze_norm_at must be below 1 for"),
        ([{"name": "a"}, {"name": "b", "network": {"ema": 1.0}}], r"chain\[1\]: network.ema must be less than 1"),
    ],
)
def test_mistakes_in_a_chain_are_named_with_their_step(steps, message):
    with pytest.raises(UnusableInput, match=message):
        config_from_dict(a_chain(*steps))


def test_the_recipe_of_the_shipped_model_has_the_rates_of_its_history():
    config = read_config(FOLDER / "default.yaml")
    steps = [step_config(config, number) for number, step in enumerate(config.chain) if not step.mean_of]
    assert [(step.seed, step.network.learning_rate) for step in steps] == [
        (3, 0.003),
        (4, 0.002),
        (5, 0.0015),
        (6, 0.0015),
        (8, 0.0012),
        (10, 0.0009),
    ]
    assert [step.network.freeze_norm_at for step in steps] == [0.06, 0, 0, 0, 0, 0]
    assert config.chain[-1].mean_of == ("vessels", "vessels_again")
