"""What commands tell whoever started them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import LungTumorSegLib.phantom
import LungTumorSegLib.pipeline
import numpy as np
import pytest
from LungTumorSegLib import cli
from LungTumorSegLib.commands.parser import SHELLS, build_parser
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.headers import check_phase
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.phantom import Phantom
from LungTumorSegLib.process.progress import COMMAND_SHARES
from LungTumorSegLib.results.contents import Extras
from LungTumorSegLib.results.writer import write_result
from made_results import a_result
from result_files import names


class Heard:
    """A channel that keeps what it hears."""

    def __init__(self):
        self.results = []

    def progress(self, progress):
        pass

    def result(self, data, text):
        self.results.append((data, text))

    def cancel(self):
        pass


def test_the_demo_tells_its_result_once_with_the_dice_of_phantom_and_segmentation(tmp_path, monkeypatch):
    result = a_result()
    truth = (result.report.labels.array > 0).astype(np.uint8)
    truth[:, :, truth.any(axis=(0, 1)).argmax()] = 0  # of 9 columns of lesion the truth has 8
    lungs = result.ct.with_array(np.zeros(truth.shape, np.uint8))
    phantom = Phantom(result.ct, result.ct.with_array(truth), lungs, (), np.zeros((2, 3)))
    monkeypatch.setattr(LungTumorSegLib.phantom, "make_phantom", lambda seed, on_progress: phantom)
    monkeypatch.setattr(LungTumorSegLib.pipeline, "segment", lambda *_, **__: result)
    options = build_parser().parse_args(["demo", "-o", str(tmp_path / "demo"), "--no-picture"])
    channel = Heard()
    options.run(options, channel)
    ((data, text),) = channel.results
    assert data["dice"] == round(2 * 8 / (8 + 9), 4)
    assert data["summary"] == json.loads((tmp_path / "demo" / "summary.json").read_text(encoding="utf-8"))
    assert text.splitlines()[-1] == "The phantom has 0 lesions. 3D Dice of the segmentation: 0.94."
    assert names(tmp_path / "demo" / "phantom") == {
        "ct.nii.gz",
        "tumor.nii.gz",
        "lungs.nii.gz",
    }


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "LungTumorSegLib", *arguments], capture_output=True, text=True, stdin=subprocess.PIPE
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["segment", "ct.nii.gz", "--events", "jsonl"],
            "lungtumorseg segment: the following arguments are required: -o/--output",
        ),
        (
            ["segment", "ct.nii.gz", "-o", "out", "--events=jsonl", "--stride", "two"],
            "argument --stride: must be a whole number, not 'two'",
        ),
        (["demo", "-o", "out", "--events", "jsonl", "--colour"], "lungtumorseg: unrecognized arguments: --colour"),
    ],
)
def test_a_program_hears_of_wrong_arguments_in_an_event(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    (event,) = map(json.loads, done.stdout.splitlines())
    assert (event["event"], event["code"]) == ("error", 2)
    assert message in event["message"]
    assert done.stderr.splitlines()[-1] == event["message"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--threads", "1.5"), "argument --threads: must be a whole number, not '1.5'"),
        (("--phase", "last"), "argument --phase: must be a whole number, not 'last'"),
        (("--min-confidence", "0,5"), "argument --min-confidence: must be a number such as 0.5, not '0,5'"),
        (("--point", "1", "x", "3"), "argument --point: must be a number such as 0.5, not 'x'"),
    ],
)
def test_what_is_no_number_is_refused_in_plain_words(option, message):
    with pytest.raises(UnusableInput) as refused:
        build_parser().parse_args(["segment", "ct.nii.gz", "-o", "out", *option])
    assert str(refused.value) == f"lungtumorseg segment: {message}"


def test_a_person_reads_of_wrong_arguments_after_the_usage():
    done = run("isolate", "ct.nii.gz")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: lungtumorseg isolate")
    assert done.stderr.splitlines()[-1] == "lungtumorseg isolate: the following arguments are required: -o/--output"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["measure", "ct.nii", "mask.nii", "-o", ""], "argument -o/--output: the name is empty"),
        (["measure", "", "mask.nii", "-o", "out"], "argument CT: the name is empty"),
        (["segment", "ct.nii", "-o", "out", "--case", "M\udcfcller"], "argument --case: the text is not valid UTF-8"),
        (["segment", "ct.nii", "-o", "out", "--patient", "\udcff"], "argument --patient: the text is not valid UTF-8"),
    ],
)
def test_empty_names_and_undecodable_texts_are_refused(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("arguments", "has_phase"), [
    (["segment", "ct", "-o", "out"], True), (["measure", "ct", "mask", "-o", "out"], True),
    (["compare", "a", "b", "-o", "out"], False), (["evaluate", "a", "b"], False),
])  # fmt: skip
def test_the_refusal_of_a_4d_ct_names_only_options_that_the_command_has(arguments, has_phase):
    def refuse(options, channel):
        check_phase(None, ["0%", "50%"], Path("ct.nrrd"))

    options = build_parser().parse_args(arguments)
    options.run = refuse
    code, message = cli._run(options, Heard())
    assert code == 2
    assert message.startswith("ct.nrrd is a 4D image of 2 phases (0% to 50%); ")
    assert ("--phase" in message) == has_phase
    assert ("--" in message) == has_phase


def test_help_is_a_result_and_no_error():
    done = run("segment", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: lungtumorseg segment")
    assert done.stderr == ""


def parsed(*arguments):
    return build_parser().parse_args(list(arguments))


ORDERS = [
    ["segment", "ct.nii", "-o", "out", "--margins", "5", "8"],
    ["segment", "--margins", "5", "8", "ct.nii", "-o", "out"],
    ["segment", "-o", "out", "--margins", "5", "8", "ct.nii"],
    ["segment", "--margins", "5", "-o", "out", "ct.nii", "--margins", "8"],
    ["segment", "-o", "out", "--margins=5", "--margins=8", "--", "ct.nii"],
    ["-o", "out", "--margins", "5", "8", "segment", "ct.nii"],
    ["--margins", "5", "8", "-o", "out", "segment", "ct.nii"],
]


@pytest.mark.parametrize("arguments", ORDERS, ids=" ".join)
def test_arguments_may_come_in_any_order_and_no_list_swallows_the_input(arguments):
    options = parsed(*arguments)
    assert (options.command, options.input, options.output) == ("segment", Path("ct.nii"), Path("out"))
    assert options.margins == [5.0, 8.0]


@pytest.mark.parametrize("place", range(4))
def test_the_two_inputs_of_measure_keep_their_order_around_options(place):
    arguments = ["ct.nii", "seg.nrrd"]
    arguments[min(place, 2) : min(place, 2)] = ["-o", "out", "--margins", "5"]
    options = parsed("measure", *arguments)
    assert (options.input, options.segmentation, options.margins) == (Path("ct.nii"), Path("seg.nrrd"), [5.0])


def test_a_margin_that_is_no_number_is_refused():
    with pytest.raises(UnusableInput, match=r"must be a number such as 0\.5, not 'wide'"):
        parsed("segment", "ct.nii", "-o", "out", "--margins=wide")


COMMANDS = sorted(COMMAND_SHARES)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example_that_can_be_parsed(command, capsys):
    with pytest.raises(SystemExit):
        parsed(command, "--help")
    text = capsys.readouterr().out
    examples = [line.split()[1:] for line in text.partition("examples:\n")[2].splitlines()]
    assert examples
    for example in examples:
        assert parsed(*example).command == command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_common_options(command):
    examples = {
        "evaluate": ["a", "b"],
        "compare": ["a", "b"],
        "measure": ["a", "b"],
        "train": ["a"],
        "bench": ["a"],
        "segment": ["a"],
        "isolate": ["a"],
        "batch": ["a"],
        "answer": ["a"],
    }
    output = [] if command in ("answer", "evaluate", "models", "train", "bench") else ["-o", "out"]
    options = parsed("--quiet", command, *examples.get(command, []), *output, "--threads", "2")
    assert (options.quiet, options.verbose, options.threads) == (True, False, 2)
    with pytest.raises(UnusableInput, match="must be from 1 to"):
        parsed(command, *examples.get(command, []), *output, "--threads", "0")


def test_the_version_is_that_of_the_package():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"lungtumorseg {LungTumorSegLib.__version__}\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_learns_every_command(shell, capsys):
    with pytest.raises(SystemExit) as ended:
        parsed("--print-completion", shell)
    assert ended.value.code == 0
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)


def test_without_shtab_one_sentence_names_it(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "shtab", None)
    monkeypatch.setattr(cli, "set_stdout_aside", lambda: sys.stdout)
    monkeypatch.setattr(cli, "missing_package", lambda error: f"{error.name} is missing.")
    assert cli.main(["--print-completion", "bash"]) == 3
    assert capfd.readouterr().err.splitlines()[-1] == "shtab is missing."


@pytest.mark.parametrize(
    ("modules", "code", "at_once"),
    [
        ((), 3, False),
        (("torch",), 0, True),
        (("torch", "LungTumorSegLib.training"), 0, False),
        (("torch", "LungTumorSegLib.training"), 3, True),
    ],
    ids=["without torch", "with torch", "a finished training", "a failed training"],
)
def test_only_a_process_without_torch_or_with_a_finished_training_is_taken_down_in_full(
    monkeypatch, modules, code, at_once
):
    monkeypatch.setattr(cli, "main", lambda: code)
    for name in ("torch", "LungTumorSegLib.training"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in modules:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))

    def ended(code):
        raise InterruptedError(code)

    monkeypatch.setattr(cli.os, "_exit", ended)
    with pytest.raises(InterruptedError if at_once else SystemExit, match=str(code)):
        cli.run()


def test_quiet_says_nothing_but_errors(tmp_path):
    for name in ("prediction", "reference"):
        write_volume(Volume(np.ones((2, 3, 4), np.uint8), np.eye(4)), tmp_path / f"{name}.nrrd")
    done = run("evaluate", *(str(tmp_path / f"{name}.nrrd") for name in ("prediction", "reference")), "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run("isolate", str(tmp_path / "none.nii"), "-o", str(tmp_path / "two"), "--quiet")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_an_error_that_quotes_a_hostile_path_does_not_steer_the_terminal(tmp_path):
    done = run("isolate", str(tmp_path / "\x1b[31mred\u202e.nii"), "-o", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "\\x1b[31mred\\u202e.nii" in done.stderr


def test_the_case_is_in_table_summary_and_report(tmp_path):
    write_result(a_result(), tmp_path, picture=False, extras=Extras(report=True, case="P007 <b>"))
    rows = list(csv.DictReader((tmp_path / "lesions.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["case"] for row in rows] == ["P007 <b>"]
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["case"] == "P007 <b>"
    assert "<td>Case</td><td>P007 &lt;b&gt;</td>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_result_is_saved_with_one_call(tmp_path):
    summary = a_result().save(str(tmp_path / "out"))
    assert json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8")) == summary
    assert (tmp_path / "out" / "report.html").is_file()
    assert summary["software_version"] == LungTumorSegLib.__version__
