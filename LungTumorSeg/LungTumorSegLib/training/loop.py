"""The loop that trains one network: steps, mining and scoring between epochs, checkpoints to resume from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.events import ProgressCallback
from ..networks.contract import Network
from ..options import Thresholds
from .checkpoint import load_checkpoint
from .config import StageConfig, TrainingConfig
from .distributed import from_first, number_from_first, share_of
from .launch import rank
from .loader import SampleDataset, batches
from .lobes import LobeSampler
from .losses import build_loss
from .mining import cases_to_mine, updated_sites
from .normalization import freeze, recalibrate
from .optimization import Optimization
from .preparation import PreparedData
from .record import CHECKPOINT_SECONDS, TrainingRecord, TrainingState
from .sampling import Sampler
from .schedules import Length, Plateau, learning_rate
from .whole_volumes import WholeVolumes

LOG_STEPS = 20
RECALIBRATION_BATCHES = 16
MINING_STREAM, RECALIBRATION_STREAM = 1001, 1002
"""Random streams in addition to those of the stages' samples (1, 2)."""


@dataclass
class LoopState(TrainingState):
    """Everything that a checkpoint contains besides weights, average and optimizer.

    Attributes:
        best: Best checkpoint score so far.
        best_epoch: Epoch of the best score.
        hard_sites: Mined sites (case index, slice, row, column).
        loss_sum: Sum of the losses of this epoch so far.
        loss_count: Number of the losses of this epoch so far.
        plateau: State of the ``plateau`` schedule.
        frozen: Whether batch normalization keeps its statistics.
        finished: Whether the training has ended.
    """

    best: float | None = None
    best_epoch: int = 0
    hard_sites: tuple[tuple[int, int, int, int], ...] = ()
    loss_sum: float = 0.0
    loss_count: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    frozen: bool = False
    finished: bool = False

    @classmethod
    def restore(cls, values: dict[str, Any]) -> LoopState:
        """Restore a state from the JSON form of its ``asdict``."""
        sites = tuple((case, k, i, j) for case, k, i, j in values["hard_sites"])
        return cls(**{**values, "hard_sites": sites, "plateau": Plateau(**values.get("plateau", {}))})


class TrainingLoop:
    """Trains a network on samples of prepared data.

    Between epochs and in the end, the network has its averaged weights, if they are averaged (see ``averaging``).
    """

    def __init__(
        self,
        name: str,
        stream: int,
        network: Network,
        stage: StageConfig,
        *,
        config: TrainingConfig,
        data: PreparedData,
        volumes: WholeVolumes,
        device: torch.device,
        precision: str,
    ) -> None:
        """Begin a training; ``run`` resumes an earlier one of the same name.

        Args:
            name: Names files and log rows.
            stream: Selects the random numbers.
            network: The network; it is trained in place.
            stage: How to train.
            config: Supplies the samples, the seed, the workers and the folder.
            data: The cases.
            volumes: Predicts whole volumes, to mine and to score.
            device: Where to train.
            precision: The precision of the computation.
        """
        self._stream, self._stage, self._config, self._data = stream, stage, config, data
        self._share = share_of(stage.batch, f"The batch of the stage {name}")
        self._network, self._volumes = network, volumes
        self._optimization = Optimization(
            network, stage, device=device, precision=precision, lobes=config.lobes is not None
        )
        output = Path(config.output)
        self._record = TrainingRecord(name, output, Length(stage.steps, stage.max_minutes), stage.epoch_steps)
        self._best = output / f"{name}-best.safetensors"
        self._state = LoopState(frozen=stage.freeze_norm_at <= 0)

    def run(self, on_progress: ProgressCallback) -> Network:
        """Train, or resume training, to the end.

        Returns:
            The network with its best weights, in evaluation mode.
        """
        if self._record.checkpoint.is_file():
            self._state = LoopState.restore(self._optimization.resume(self._record.checkpoint))
        self._record.resume(self._state)
        while not self._state.finished:
            self._epoch(on_progress)
        self._record.close()
        if self._best.is_file():
            load_checkpoint(self._best, self._network)
        else:
            self._optimization.average.apply()
        return self._network.eval()

    def _epoch(self, on_progress: ProgressCallback) -> None:
        """Run the steps up to the next multiple of ``epoch_steps``, then mining, scoring and a checkpoint."""
        state, stage = self._state, self._stage
        first = state.step
        last = min(stage.steps, (first // stage.epoch_steps + 1) * stage.epoch_steps)
        loss_of = build_loss(stage.loss, first // stage.epoch_steps)
        begin, spent, saved = time.monotonic(), state.seconds, time.monotonic()
        losses: list[float] = []
        self._network.train()
        if state.frozen:
            freeze(self._network)
        samples, workers = self._samples(self._stream), self._config.workers
        for image, label in batches(samples, first, last, batch=stage.batch, workers=workers, share=self._share):
            fraction, reductions = self._record.fraction(state), state.plateau.reductions
            rate = learning_rate(stage, step=state.step, fraction=fraction, reductions=reductions)
            losses.append(
                self._optimization.step(
                    image, label, rate=rate, loss_of=loss_of, seed=self._dropout_seed(), averaged=state.frozen
                )
            )
            state.loss_sum, state.loss_count = state.loss_sum + losses[-1], state.loss_count + 1
            state.step += 1
            state.seconds = number_from_first(spent + time.monotonic() - begin)
            self._record.show(state, on_progress)
            if state.step % LOG_STEPS == 0:
                self._write_log(loss=float(np.mean(losses)), learning_rate=rate)
                losses.clear()
            if time.monotonic() - saved > CHECKPOINT_SECONDS and state.step < last:
                self._save(self._record.checkpoint)
                saved = time.monotonic()
            if self._record.fraction(state) >= 1:
                break
        if losses:
            self._write_log(loss=float(np.mean(losses)), learning_rate=rate)
        with self._optimization.average.applied():
            if rank() == 0:
                self._between_epochs()
        self._state = LoopState.restore(from_first(asdict(state)))
        self._state.seconds = spent + time.monotonic() - begin
        self._save(self._record.checkpoint)

    def _dropout_seed(self) -> int:
        place = [self._config.seed, self._stream, self._state.step, *([rank()] if rank() else [])]
        return int(np.random.SeedSequence(place).generate_state(1)[0])

    def _between_epochs(self) -> None:
        """Freeze statistics, mine and select, each from its own share of the training onward."""
        state, stage, fraction = self._state, self._stage, self._record.fraction(self._state)
        state.finished = state.step >= stage.steps or fraction >= 1
        state.plateau.see(state.loss_sum / max(1, state.loss_count))
        state.loss_sum, state.loss_count = 0.0, 0
        if not state.frozen:
            recalibrate(self._network, self._calibration())
            state.frozen = fraction >= stage.freeze_norm_at
        if self._network.dims == 2:
            return
        mines = stage.mined_cases and self._config.lobes is None
        if fraction >= stage.mine_after and not state.finished and mines:
            self._mine()
        if self._data.held_out and (fraction >= stage.selection_after or state.finished):
            self._score()

    def _mine(self) -> None:
        state, cases = self._state, self._data.training
        rng = np.random.default_rng([self._config.seed, MINING_STREAM, state.step])
        which = cases_to_mine(cases, self._stage.mined_cases, rng)
        mined = self._volumes.mine(self._network, cases, which, state.step)
        state.hard_sites = updated_sites(state.hard_sites, which, mined)

    def _score(self) -> None:
        state = self._state
        score = self._volumes.score(self._network, self._data.held_out, Thresholds())
        self._write_log(dice=score.dice, false_ml=score.false_ml, score=score.value)
        epoch = state.step // self._stage.epoch_steps
        if state.best is None or score.value > state.best:
            state.best, state.best_epoch = score.value, epoch
            self._save(self._best)
        if self._stage.patience and epoch - state.best_epoch >= self._stage.patience:
            state.finished = True

    def _samples(self, stream: int) -> SampleDataset:
        config, data = self._config, self._data
        sampler = (
            Sampler(data.training, data.nodules, config.grid, config.sampling, self._state.hard_sites)
            if config.lobes is None
            else LobeSampler(data.training, config.grid, config.sampling, config.lobes.partial)
        )
        return SampleDataset(sampler, config.seed, stream)

    def _calibration(self) -> Iterator[Tensor]:
        """Send fresh samples through the network, for the statistics of the batch norms."""
        size = self._stage.batch
        stream = RECALIBRATION_STREAM + self._state.step
        for image, _ in batches(
            self._samples(stream), 0, RECALIBRATION_BATCHES, batch=size, workers=self._config.workers
        ):
            yield self._optimization.logits(image)

    def _write_log(self, **values: object) -> None:
        self._record.write(self._state, hard_sites=len(self._state.hard_sites), **values)

    def _save(self, path: Path) -> None:
        if rank() == 0:
            self._optimization.save(path, asdict(self._state))
