"""Averages of weights: what is averaged, how much of the past counts, and that nothing else changes."""

import pytest
import torch
from LungTumorSegLib.training.averaging import MovingAverage, give_mean
from torch import nn


def a_network(value=0.0):
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    for weight in network.parameters():
        nn.init.constant_(weight, value)
    return network


def set_all(network, value):
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(value)


@pytest.mark.parametrize(("decay", "expected"), [(0.9, 0.9), (0.05, 0.95)])
def test_the_average_follows_the_weights_with_its_decay(decay, expected):
    """Of two updates, the first sees 0 and the second 1; the decay rises from 0.1, so 2 / 11 of the first remain."""
    network = a_network()
    average = MovingAverage(network, decay)
    average.update()
    set_all(network, 1.0)
    average.update()
    kept = min(decay, 2 / 11)
    for value in average.state().values():
        torch.testing.assert_close(value, torch.full_like(value, 1 - kept))


def test_the_average_of_weights_that_stay_is_the_weights():
    network = a_network(0.7)
    average = MovingAverage(network, 0.99)
    for _ in range(50):
        average.update()
    assert all(torch.allclose(value, torch.tensor(0.7)) for value in average.state().values())


def test_the_weights_come_back_after_the_block_even_if_it_fails():
    network = a_network()
    average = MovingAverage(network, 0.5)
    average.update()
    set_all(network, 1.0)

    def fail():
        with average.applied():
            assert all((weight == 0).all() for weight in network.parameters())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert all((weight == 1).all() for weight in network.parameters())


def test_without_a_decay_or_an_update_nothing_changes():
    for decay in (0.0, 0.5):
        network = a_network(0.3)
        average = MovingAverage(network, decay)
        if not decay:
            average.update()
        with average.applied():
            assert all((weight == 0.3).all() for weight in network.parameters())
        assert average.state() == {}


def test_frozen_weights_are_not_averaged():
    network = a_network()
    network[0].requires_grad_(False)
    average = MovingAverage(network, 0.5)
    average.update()
    assert set(average.state()) == {"1.weight", "1.bias"}


def test_a_restored_average_goes_on():
    one, other = a_network(), a_network()
    first = MovingAverage(one, 0.9)
    first.update()
    second = MovingAverage(other, 0.9)
    second.restore({name: value.clone() for name, value in first.state().items()}, first.updates)
    for network, average in ((one, first), (other, second)):
        set_all(network, 1.0)
        average.update()
    assert all(torch.equal(value, second.state()[name]) for name, value in first.state().items())


def test_the_mean_holds_weights_and_statistics():
    networks = [a_network(0.0), a_network(1.0), a_network(5.0)]
    for network, mean in zip(networks, (3.0, 6.0, 0.0), strict=True):
        network[1].running_mean.fill_(mean)
    result = a_network(9.0)
    give_mean(result, networks)
    assert all((weight == 2).all() for weight in result.parameters())
    assert (result[1].running_mean == 3).all()


def test_a_network_with_a_larger_share_weighs_more_in_the_mean():
    networks = [a_network(0.0), a_network(1.0)]
    give_mean(networks[0], networks, shares=(7, 3))
    assert all(torch.allclose(weight, torch.tensor(0.3)) for weight in networks[0].parameters())
