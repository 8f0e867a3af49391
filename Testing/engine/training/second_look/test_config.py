"""A configuration of a second network is checked like any other, and starts its own training."""

import dataclasses
import json
from pathlib import Path

import LungTumorSegLib.training.config as config_module
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.training import train
from LungTumorSegLib.training.second_look.config import LookTrainingConfig, config_from_dict, read_config
from LungTumorSegLib.training.settings import config_schema

CONFIGS = Path(config_module.__file__).parent / "configs"
USUAL = {"output": "o", "second_look": {"folds": [["a"], ["b"]]}}


def test_the_shipped_recipe_is_valid():
    config = read_config(CONFIGS / "second_look.yaml")
    assert config_from_dict(dataclasses.asdict(config)) == config


def test_the_schema_for_editors_is_the_one_that_is_checked():
    stored = json.loads((CONFIGS / "second_look.schema.json").read_text(encoding="utf-8"))
    assert stored == config_schema(LookTrainingConfig)


@pytest.mark.parametrize(
    ("second_look", "message"),
    [
        ({}, "folds must name at least two sources"),
        ({"folds": [["a"], ["a", "b"]]}, "folds must name each source once"),
        ({"folds": [["a", "b"]], "sources": {"phantom": ["x"]}}, "must not contain the name 'phantom'"),
        ({"folds": [["a", "b"]], "sources": {"s": ["x"], "t": ["x"]}}, "sources must name each patient once"),
        ({"folds": [["a", "b"]], "sampling": {"large": 0.7, "small": 0.7}}, "exceed 1 together"),
        ({"fold": []}, "second_look has no setting 'fold'; its settings are first"),
        ({"measures": ["size"]}, "second_look.measures.* must be 'tumor_logit'"),
        ({"batch": 0}, "second_look.batch must be greater than or equal to 1, not 0"),
    ],
)
def test_a_mistake_is_named_with_its_place(second_look, message):
    with pytest.raises(UnusableInput, match=message):
        config_from_dict({**USUAL, "second_look": second_look})


def test_the_section_second_look_starts_its_training(tmp_path):
    (tmp_path / "c.yaml").write_text("output: o\nsecond_look: {}\nnetwork: {steps: 3}\n")
    with pytest.raises(UnusableInput, match="has no setting 'network'; its settings are output, second_look"):
        train(tmp_path / "c.yaml")
