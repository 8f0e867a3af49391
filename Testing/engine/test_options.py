"""Each option of a run stands in one place, and every entrance knows every option."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
from LungTumorSegLib import pipeline
from LungTumorSegLib.commands.parser import build_parser
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.options import OPTION, OPTIONS, SegmentOptions, Settings, Thresholds, usual_values
from LungTumorSegLib.weights.manifest import DEFAULT_MODEL, SHIPPED, Manifest, shipped_values
from made_results import a_result

OTHER = {
    "model": "another",
    "device": "cpu",
    "precision": "float32",
    "backend": "torch",
    "stride": 3,
    "thresholds": Thresholds(0.6, 0.4),
    "min_lesion_ml": 0.25,
    "min_confidence": 0.0,
    "mirror": False,
    "verify": False,
}
"""A value of each option that no default has."""


def parsed(command: str, arguments: list[str]) -> dict[str, object]:
    inputs = ["ct.nii.gz"] if command == "segment" else []
    return vars(build_parser().parse_args([command, *inputs, "-o", "out", *arguments]))


def test_every_entrance_knows_every_option():
    names = [option.name for option in OPTIONS]
    assert [field.name for field in fields(Settings)] == names
    assert list(OTHER) == names, "this test too"
    assert list(asdict(a_result().settings)) == names, "summary.json writes these"
    assert set(shipped_values()) == set(names)
    assert {option.name for option in OPTIONS if option.default is None} <= set(dir(Manifest)) | {
        field.name for field in fields(Manifest)
    }


@pytest.mark.parametrize("command", ["segment", "demo"])
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_goes_through_the_command_line_and_comes_out_as_it_was(option, command):
    chosen = SegmentOptions.of({option.name: OTHER[option.name]})
    options = parsed(command, chosen.arguments())
    assert SegmentOptions.of({o.name: options[o.name] for o in OPTIONS}) == chosen
    assert parsed(command, [])[option.name] is None, "without it the manifest decides, or the default"


def test_the_folder_of_a_model_may_be_a_path():
    assert SegmentOptions.of(model=Path("models") / "mine").model == str(Path("models/mine"))


def test_numbers_of_numpy_can_be_stored_in_the_summary():
    values = {"stride": np.int64(3), "min_lesion_ml": np.float32(0.25), "min_confidence": np.int8(0)}
    chosen = SegmentOptions.of(values, thresholds=(np.float32(0.75), np.float16(0.5)))
    assert json.loads(json.dumps(asdict(chosen)))["stride"] == 3
    assert chosen == SegmentOptions.of(stride=3, min_lesion_ml=0.25, min_confidence=0.0, thresholds=(0.75, 0.5))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_help_says_what_an_option_is_and_what_it_is_without(option, capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["segment", "--help"])
    text = "".join(capsys.readouterr().out.split())  # lines may break anywhere, at a hyphen too
    assert option.flag in text
    usual = shipped_values()[option.name]
    words = {True: "yes", False: "no"}.get(usual, usual) if isinstance(usual, bool) else usual
    words = f"{usual.gate:g} {usual.voxel:g}" if isinstance(usual, Thresholds) else words
    assert f"{option.help} (default: {words})".replace(" ", "") in text


def test_without_choices_nothing_is_passed_on_and_the_manifest_decides():
    manifest = Manifest.read(SHIPPED / DEFAULT_MODEL)
    assert SegmentOptions().arguments() == []
    assert asdict(SegmentOptions().settled(manifest)) == asdict(Settings(**usual_values(manifest)))


def test_what_is_chosen_wins_over_the_manifest_zero_and_no_too():
    settings = SegmentOptions(**OTHER).settled(Manifest.read(SHIPPED / DEFAULT_MODEL))
    assert asdict(settings) == {**asdict(Settings(**OTHER)), "model": "default"}


WRONG = [
    ("model", 3, "The model must be text, not 3."),
    ("device", "tpu", "The device must be auto, cpu or cuda, not 'tpu'."),
    ("precision", "half", "The precision must be auto, float32 or bfloat16, not 'half'."),
    ("backend", "onnx", "The backend must be auto, torch or openvino, not 'onnx'."),
    ("stride", 0, "The stride must be a whole number from 1 to 8, not 0."),
    ("stride", 9, "not 9"),
    ("stride", 2.5, "not 2.5"),
    ("stride", True, "not True"),
    ("stride", "2", "not '2'"),
    ("thresholds", 0.5, "The thresholds must be two numbers"),
    ("thresholds", (0.3, 0.5), "thresholds must satisfy"),
    ("thresholds", ("a", 0.5), "thresholds must satisfy"),
    ("thresholds", (float("nan"), 0.5), "thresholds must satisfy"),
    ("min_lesion_ml", -1, "The smallest lesion volume (mL) must be a number from 0 to 1000, not -1."),
    ("min_lesion_ml", float("inf"), "not inf"),
    ("min_confidence", 1.5, "The confidence threshold must be a number from 0 to 1, not 1.5."),
    ("min_confidence", float("nan"), "not nan"),
    ("mirror", "yes", "Mirroring must be True or False, not 'yes'."),
    ("verify", "yes", "The second look must be True or False, not 'yes'."),
    ("min_confidence", "x" * 100_000, "not 'xxx"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_value_out_of_range_is_refused_in_one_bounded_sentence(name, value, message):
    with pytest.raises(UnusableInput, match=re.escape(message)) as refusal:
        SegmentOptions.of({name: value})
    assert len(str(refusal.value)) < 250


def test_every_range_is_tested():
    assert {name for name, _, _ in WRONG} == set(OPTION)


def test_an_unknown_option_is_refused_with_those_that_there_are():
    with pytest.raises(UnusableInput, match=r"no option 'min_confidense'; the options are model, .*min_confidence"):
        pipeline.segment(None, min_confidense=0.3)


def test_keywords_win_over_options_and_none_is_no_choice():
    assert SegmentOptions.of(SegmentOptions(stride=3), stride=4, mirror=None) == SegmentOptions(stride=4)
    assert SegmentOptions.of({"thresholds": [0.6, 0.4]}).thresholds == Thresholds(0.6, 0.4)


def test_the_options_load_without_numpy():
    code = "import sys; sys.modules.update(numpy=None, torch=None); import LungTumorSegLib.options, "
    code += "LungTumorSegLib.weights.manifest"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
