"""A training in two processes is the training in one; only the first process writes."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import shared_training
import torch
from LungTumorSegLib import cli
from LungTumorSegLib.core.errors import UNUSABLE, UnusableInput
from LungTumorSegLib.networks.blocks import BatchNorm
from LungTumorSegLib.training import distributed
from LungTumorSegLib.training.bench.tuning import run_tuning
from LungTumorSegLib.training.distributed import from_first, gather_rows, share_of
from LungTumorSegLib.training.loader import batches
from LungTumorSegLib.training.second_look import command
from safetensors.torch import load_file
from training_cases import log_rows

SOON = 300


@pytest.fixture
def second_of_two(monkeypatch):
    """This process is the second of two that torchrun started."""
    for name, value in shared_training.place_of(1, 1).items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow  # 20 s of an idle machine
def test_two_processes_train_as_one_does_with_the_joined_batch(tmp_path):
    cases, one, two = (tmp_path / name for name in ("cases", "one", "two"))
    shared_training.write_cases(cases)
    port = shared_training.free_port()
    script = [sys.executable, shared_training.__file__, str(cases)]
    several = [
        subprocess.Popen(
            [*script, str(two)], env={**os.environ, **shared_training.place_of(rank, port)}, stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    for process in (*several, subprocess.Popen([*script, str(one)], stderr=subprocess.PIPE)):
        _, errors = process.communicate(timeout=SOON)
        assert process.returncode == 0, errors.decode()
    alone, first, second = (
        json.loads((folder / f"losses-{rank}.json").read_text()) for folder, rank in ((one, 0), (two, 0), (two, 1))
    )
    assert len(alone) == 4
    assert first == pytest.approx(alone, abs=1e-5)
    assert second == first
    assert [row["step"] for row in log_rows(two)] == [row["step"] for row in log_rows(one)]
    for name in ("step-0.safetensors", "model/model.safetensors"):
        expected, found = load_file(one / name), load_file(two / name)
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, atol=1e-4, rtol=1e-3, msg=f"{name}: {key}")


def test_batch_normalization_by_the_moments_of_a_joined_batch_is_that_of_the_batch():
    """The part of a process is normalized as in the whole batch, and its running statistics are those of the batch."""
    whole = 3 + 2 * torch.randn(4, 3, 2, 5, generator=torch.Generator().manual_seed(1))
    alone, sharing = BatchNorm(3), BatchNorm(3)
    for norm in (alone, sharing):
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            norm.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    sharing.moments = lambda _: (whole.mean((0, 2, 3)), whole.var((0, 2, 3), unbiased=False), 40)
    expected = alone(whole)
    torch.testing.assert_close(sharing(whole[1:3]), expected[1:3])
    torch.testing.assert_close(sharing.running_mean, alone.running_mean)
    torch.testing.assert_close(sharing.running_var, alone.running_var)


def test_the_shares_of_a_batch_are_the_batch(second_of_two, monkeypatch):
    class Numbers:
        def __getitem__(self, number):
            return number, -number

    assert share_of(4, "batch") == (2, 2)
    seconds = [
        images.tolist() for images, _ in batches(Numbers(), 3, 5, batch=4, workers=0, share=share_of(4, "batch"))
    ]
    assert seconds == [[14, 15], [18, 19]]
    monkeypatch.setenv("RANK", "0")
    firsts = [images.tolist() for images, _ in batches(Numbers(), 3, 5, batch=4, workers=0, share=share_of(4, "batch"))]
    assert firsts == [[12, 13], [16, 17]]


def test_what_several_processes_cannot_do_is_refused_in_a_sentence(second_of_two):
    with pytest.raises(UnusableInput, match=r"network\.batch is 5, which cannot be divided evenly among 2 processes"):
        share_of(5, "network.batch")
    with pytest.raises(UnusableInput, match=r"--tune\) uses one process only; start it without torchrun"):
        run_tuning(Path("bench.yaml"), 3)
    with pytest.raises(UnusableInput, match="second network uses one process only"):
        command.run_training(None)


@pytest.mark.parametrize("command", ["train", "bench"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_mistake_in_a_configuration_is_told_by_the_first_process_only(command, rank, tmp_path, monkeypatch, capsys):
    for name, value in shared_training.place_of(rank, 1).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cli, "set_stdout_aside", io.StringIO)
    config = tmp_path / "config.yaml"
    bench = "output: out\nbaseline: a\nentries: [{name: a}]\nbase: "
    network = "{model: {name: resnet_9000}, data: {phantoms: {count: 2}}}"
    train = "output: out\n<<: "
    for text, mistake in ((bench if command == "bench" else train) + network, "resnet_9000"), ("wrong: 1", "'output'"):
        config.write_text(text)
        assert cli.main([command, str(config)]) == UNUSABLE
        told = capsys.readouterr().err
        assert (mistake in told) == (rank == 0), told
    config.unlink()
    assert cli.main([command, str(config)]) == UNUSABLE
    assert "cannot be read" in capsys.readouterr().err  # another computer may have the file


def test_each_process_has_a_graphics_card_of_its_own(second_of_two, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert distributed.own_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert distributed.own_device(torch.device("cpu")) == torch.device("cpu")
    assert chosen == [1]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UnusableInput, match=r"more processes than this computer has graphics cards \(1\)"):
        distributed.own_device(torch.device("cuda"))


def test_a_single_process_is_the_first_and_has_everything():
    rows = torch.ones(2, 3)
    assert gather_rows(rows) is rows
    assert share_of(3, "batch") == (0, 3)
    assert from_first({"a": 1}) == {"a": 1}
    assert distributed.rank() == 0
