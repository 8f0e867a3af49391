"""The loop that trains the second network on the samples of a pool, with checkpoints to resume from."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import UnusableInput
from ...core.events import ProgressCallback
from ...core.volume import Array
from ...inference.device import autocast, choose_precision
from ...networks.second_network import SecondNetwork
from ...refinement.views import windows
from ..optimization import AveragedOptimizer
from ..precision import channels_last, prepare_network
from ..record import CHECKPOINT_SECONDS, TrainingRecord, TrainingState
from ..schedules import Length, cosine, warmed_up
from .config import LookTrainingConfig
from .pool import Pool, Samples
from .sampling import AERATED_SCALE, DOES_NOT_COUNT, OWN
from .variation import Views, move_views, restyle_views

CPU = torch.device("cpu")

LOG_STEPS = 50

MASK_BIAS = -3.0
"""Bias of the mask's last layer at the beginning: a voxel belongs to a lesion with a probability of 0.05."""

MIRROR_SHARE, SHIFT_HU = 0.5, 8.0
"""Share of the batches that are mirrored once more, and standard deviation of a further shift of the fine view, HU."""

DICE_SMOOTHING, BCE_WEIGHT = 50.0, 3.0
"""Voxels that smooth the Dice loss of a mask, and weight of its cross-entropy beside it."""

ORDER_STREAM, STEP_STREAM = 1, 2


@dataclass
class LookState(TrainingState):
    """Everything that a checkpoint contains besides weights, average and optimizer.

    Attributes:
        finished: Whether the training has ended.
    """

    finished: bool = False


@dataclass(frozen=True, eq=False)
class Batch:
    """What the network receives, and what it should answer.

    Attributes:
        fine: Fine views (N, 2, 40, 40, 40), 0 to 1.
        coarse: Coarse views (N, 3, 32, 32, 32), 0 to 1.
        octaves: Sides of the fine views (N,).
        mask: 0 background, ``OWN``, ``DOES_NOT_COUNT``, uint8 (N, 40, 40, 40).
        tumor: 1 for a tumor, 0 for none, -1 for unknown, float32 (N,).
    """

    fine: Tensor
    coarse: Tensor
    octaves: Tensor
    mask: Tensor
    tumor: Tensor


class LookLoop:
    """Trains a new second network on the samples of a pool."""

    def __init__(
        self,
        name: str,
        pool: Pool,
        config: LookTrainingConfig,
        *,
        left_out: Collection[str] = (),
        max_minutes: float = 0.0,
    ) -> None:
        """Begin a training.

        Args:
            name: Names files and log rows, and seeds the random numbers.
            pool: The samples.
            config: The configuration.
            left_out: Sources whose samples are not used.
            max_minutes: Wall-clock limit, minutes; 0 is no limit.

        Raises:
            UnusableInput: The samples do not fill a batch.
        """
        self._pool, self._config = pool, config.second_look
        self._numbers = pool.without(left_out)
        self._seed = [config.seed, *name.encode()]
        self._batches = len(self._numbers) // self._config.batch
        if not self._batches:
            raise UnusableInput(
                f"The pool has {len(self._numbers)} samples for the training {name}, too few for a batch of "
                f"{self._config.batch}; set more samples, or leave out fewer sources."
            )
        torch.manual_seed(config.seed)
        self._network = SecondNetwork(self._config.width)
        nn.init.constant_(self._network.mask.bias, MASK_BIAS)  # type: ignore[arg-type]
        prepare_network(self._network, CPU)
        self._precision = choose_precision(config.precision, CPU)
        optimizer = torch.optim.AdamW(
            self._network.parameters(), self._config.learning_rate, weight_decay=self._config.weight_decay
        )
        self._optimizer = AveragedOptimizer(self._network, optimizer, clip=self._config.clip, ema=self._config.ema)
        length = Length(self._config.steps, max_minutes)
        self._record = TrainingRecord(name, Path(config.output), length, self._batches)
        self._state = LookState()

    def run(self, on_progress: ProgressCallback) -> SecondNetwork:
        """Train, or resume training, to the end; return the network in evaluation mode."""
        record = self._record
        if record.checkpoint.is_file():
            self._state = LookState(**self._optimizer.resume(record.checkpoint))
        record.resume(self._state)
        self._network.train()
        state = self._state
        begin, spent, saved = time.monotonic(), state.seconds, time.monotonic()
        seen: list[tuple[float, float]] = []
        while not state.finished:
            rate = self._rate()
            seen.append(self._step(rate))
            state.step += 1
            state.seconds = spent + time.monotonic() - begin
            state.finished = record.fraction(state) >= 1
            if state.step % LOG_STEPS == 0:
                self._write_log(seen, rate)
                seen.clear()
            if time.monotonic() - saved > CHECKPOINT_SECONDS or state.finished:
                self._optimizer.save(record.checkpoint, asdict(state))
                saved = time.monotonic()
            record.show(state, on_progress)
        record.close()
        self._optimizer.average.apply()
        return self._network.eval()

    def _step(self, rate: float) -> tuple[float, float]:
        """Take one step; return the loss and the mean Dice of the masks of lesions (NaN in a batch without lesions)."""
        rng = np.random.default_rng([*self._seed, STEP_STREAM, self._state.step])
        torch.manual_seed(int(rng.integers(2**31)))  # dropout: a resumed run repeats itself
        batch = make_batch(self._pool.take(self._chosen()), rng, varied=self._config.varied)
        with autocast(CPU, self._precision):
            mask, tumor = self._network(batch.fine, batch.coarse, batch.octaves)
        mask, tumor = mask.float(), tumor.float()
        loss = self._optimizer.descend(loss_of(mask, tumor, batch), rate)
        return loss, _mean_dice(mask.detach(), batch)

    def _chosen(self) -> Array:
        """Return the numbers of the samples of this step; every pass over the pool has an order of its own."""
        turn, place = divmod(self._state.step, self._batches)
        order = np.random.default_rng([*self._seed, ORDER_STREAM, turn]).permutation(self._numbers)
        return np.asarray(order[place * self._config.batch : (place + 1) * self._config.batch])

    def _rate(self) -> float:
        rate = warmed_up(self._config.learning_rate, self._state.step, self._config.warmup_steps)
        return cosine(rate, self._record.fraction(self._state))

    def _write_log(self, seen: list[tuple[float, float]], rate: float) -> None:
        losses, dices = np.array(seen).T
        dice = float(np.nanmean(dices)) if not np.isnan(dices).all() else ""
        self._record.write(self._state, loss=float(losses.mean()), learning_rate=rate, dice=dice)


def make_batch(samples: Samples, rng: np.random.Generator, *, varied: bool = False) -> Batch:
    """Turn stored samples into what the network receives; a sample looks different each time.

    Half of the batches are mirrored once more. The HU of each fine view are shifted a little.

    Args:
        samples: The samples.
        rng: The random numbers.
        varied: Whether samples also move and change their appearance, as ``variation`` says.
    """
    views = Views(
        torch.from_numpy(samples.fine.astype(np.float32)),
        torch.from_numpy(samples.coarse.astype(np.float32)),
        torch.from_numpy(samples.mask),
        torch.from_numpy(samples.octaves),
    )
    if rng.random() < MIRROR_SHARE:
        views = views.mirrored()
    if varied:
        return batch_of(restyle_views(move_views(views, rng), rng), samples.tumor)
    shift = torch.from_numpy(rng.normal(0, SHIFT_HU, (len(views.fine), 1, 1, 1)).astype(np.float32))
    return batch_of(replace(views, fine=views.fine + shift), samples.tumor)


def batch_of(views: Views, tumor: Array) -> Batch:
    """Return views in the windows of the network, with the answers that it should give.

    Args:
        views: The views of n samples.
        tumor: Whether each sample is a tumor, 0 or 1, shape (n,).
    """
    seen = np.moveaxis(windows(views.fine.numpy()), 0, 1)
    around = np.moveaxis(windows(views.coarse[:, 0].numpy()), 0, 1)
    aerated = views.coarse[:, 1:].numpy() / np.float32(AERATED_SCALE)
    return Batch(
        channels_last(torch.from_numpy(np.ascontiguousarray(seen))),
        channels_last(torch.from_numpy(np.concatenate([around, aerated], axis=1))),
        views.octaves,
        views.mask,
        torch.from_numpy(tumor.astype(np.float32)),
    )


def loss_of(mask: Tensor, tumor: Tensor, batch: Batch) -> Tensor:
    """Return the loss of a batch: that of the answers, plus the mean over the samples of that of the masks.

    The loss of an answer is the cross-entropy; an unknown place has none. The loss of the mask of a lesion is a
    smoothed Dice loss plus the cross-entropy times ``BCE_WEIGHT``, and that of an empty mask is the cross-entropy.

    Args:
        mask: Logits of the masks (N, 40, 40, 40).
        tumor: Logits of the places being tumors (N,).
        batch: The batch.
    """
    known, counts, own = batch.tumor >= 0, (batch.mask != DOES_NOT_COUNT).float(), (batch.mask == OWN).float()
    answers = functional.binary_cross_entropy_with_logits(tumor[known], batch.tumor[known], reduction="sum")
    voxels = (1, 2, 3)
    bce = (functional.binary_cross_entropy_with_logits(mask, own, reduction="none") * counts).mean(voxels)
    inside = torch.sigmoid(mask) * counts
    overlap, total = (inside * own).sum(voxels), inside.sum(voxels) + own.sum(voxels)
    dice = 1 - (2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING)
    outlines = torch.where(_has_lesion(batch), dice + BCE_WEIGHT * bce, torch.where(known, bce, 0 * bce))
    return answers / len(tumor) + outlines.mean()


def _has_lesion(batch: Batch) -> Tensor:
    return (batch.tumor == 1) & (batch.mask == OWN).any(dim=3).any(dim=2).any(dim=1)


def _mean_dice(mask: Tensor, batch: Batch) -> float:
    """Return the mean Dice of the masks of lesions; NaN if the batch has none."""
    which = _has_lesion(batch)
    found, own = mask[which] > 0, batch.mask[which] == OWN
    return float((2 * (found & own).sum((1, 2, 3)) / (found.sum((1, 2, 3)) + own.sum((1, 2, 3)))).mean())
