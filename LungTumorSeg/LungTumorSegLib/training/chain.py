"""The steps of a training, one after the other: each begins with the weights of an earlier one.

A step is trained, or is the mean of earlier steps. Steps that are finished load their weights from their checkpoints,
so a chain that was killed continues in the step, and at the iteration, in which it was.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch

from ..core.events import Progress, ProgressCallback
from ..networks.contract import Network
from .averaging import give_mean
from .config import NETWORK, START_FROM, TrainingConfig, step_config
from .lobes import volumes_of
from .loop import TrainingLoop
from .preparation import PreparedData

NETWORK_STREAM = 2
"""Random stream of the samples of every step; their seeds differ."""

Begin = Callable[[TrainingConfig], Network]
"""Returns the network at the start of a training."""


def run_steps(
    config: TrainingConfig,
    data: PreparedData,
    *,
    device: torch.device,
    precision: str,
    begin: Begin,
    on_progress: ProgressCallback,
) -> Network:
    """Run the steps of a training, or continue them, to the end.

    Args:
        config: The training; without a chain it has one step, the stage ``network``.
        data: The data of all steps.
        device: Where to train.
        precision: The precision of the computation.
        begin: Returns the network at the start of the first step.
        on_progress: Receives the progress.

    Returns:
        The network of the last step, in evaluation mode.
    """
    lengths = [0 if step.mean_of else step_config(config, n).network.steps for n, step in enumerate(config.chain)]

    def trained(name: str, network: Network, settings: TrainingConfig, before: int = 0) -> Network:
        loop = TrainingLoop(
            name,
            NETWORK_STREAM,
            network,
            settings.network,
            config=settings,
            data=data,
            volumes=volumes_of(settings, device, precision),
            device=device,
            precision=precision,
        )
        total = sum(lengths) or settings.network.steps
        # One stage for the whole chain, whatever its steps are called, so that its share can be known.
        return loop.run(lambda step: on_progress(Progress(f"training {NETWORK}", before + step.done, total)))

    if not config.chain:
        return trained(NETWORK, begin(config), config)
    done: dict[str, Network] = {START_FROM: begin(config)} if config.start_from else {}
    for number, step in enumerate(config.chain):
        if step.mean_of:
            network = copy.deepcopy(done[step.mean_of[0]])
            give_mean(network, [done[name] for name in step.mean_of], step.mean_shares)
            network.shift_output(step.output_logit)
        else:
            settings = step_config(config, number)
            start = copy.deepcopy(done[settings.start_from]) if number else begin(settings)
            network = trained(step.name, start, settings, sum(lengths[:number]))
        done[step.name] = network
    return done[config.chain[-1].name]
