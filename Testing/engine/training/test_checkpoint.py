"""Checkpoints give back everything, or say that they cannot."""

import pytest
import torch
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.training.checkpoint import load_checkpoint, save_checkpoint
from LungTumorSegLib.training.precision import channels_last

STATE = {"step": 7, "best": 0.25, "hard_sites": [[0, 1, 2, 3]]}


def a_network(seed, width=4):
    torch.manual_seed(seed)
    network = build_network("multires_unet2d", width)
    for parameter in network.parameters():
        parameter.data = channels_last(parameter.data)  # as in training: strided storage
    return network


def an_optimizer(network):
    return torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 0.01)


def step(network, optimizer, seed):
    torch.manual_seed(seed)
    network.train()
    network(torch.rand(2, 1, 16, 16)).mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_training_goes_on_as_if_it_had_never_stopped(tmp_path):
    network = a_network(1)
    optimizer = an_optimizer(network)
    step(network, optimizer, 2)
    save_checkpoint(tmp_path / "c.safetensors", network, optimizer, STATE)
    step(network, optimizer, 3)

    other = a_network(99)
    other_optimizer = an_optimizer(other)
    assert load_checkpoint(tmp_path / "c.safetensors", other, other_optimizer) == STATE
    step(other, other_optimizer, 3)
    for name, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_saving_leaves_no_other_file_behind_and_replaces_the_old_one(tmp_path):
    network = a_network(1)
    for number in (1, 2):
        save_checkpoint(tmp_path / "deep/c.safetensors", network, None, {"step": number})
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["c.safetensors"]
    assert load_checkpoint(tmp_path / "deep/c.safetensors", network) == {"step": 2}


def test_a_kill_while_saving_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    network, path = a_network(1), tmp_path / "c.safetensors"
    save_checkpoint(path, network, None, {"step": 1})

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("LungTumorSegLib.training.checkpoint.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, network, None, {"step": 2})
    assert load_checkpoint(path, network) == {"step": 1}


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\xff" * 64])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    network, path = a_network(1), tmp_path / "c.safetensors"
    save_checkpoint(path, network, None, STATE)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MachineLimit, match=r"c\.safetensors is damaged or belongs to another network"):
        load_checkpoint(path, network)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    save_checkpoint(tmp_path / "c.safetensors", a_network(1), None, STATE)
    with pytest.raises(MachineLimit, match="belongs to another network"):
        load_checkpoint(tmp_path / "c.safetensors", a_network(1, width=8))
