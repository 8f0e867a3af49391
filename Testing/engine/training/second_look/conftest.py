"""Two small chests, prepared with a first network that calls everything dense a tumor."""

from pathlib import Path

import numpy as np
import pytest
from bright_model import write_bright_model
from density_network import DensityNetwork
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.training.implants import Nodule
from LungTumorSegLib.training.second_look.backgrounds import Background
from LungTumorSegLib.training.second_look.cases import LookCase, write_case
from LungTumorSegLib.training.second_look.config import PHANTOM, LookConfig, LookTrainingConfig
from LungTumorSegLib.training.second_look.pool import Pool, Samples
from LungTumorSegLib.training.second_look.sampling import Sample
from training_cases import a_chest_ct, ellipsoid


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """The folder of a model without a second network."""
    return write_bright_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def nodule():
    mask = ellipsoid((10, 10, 10), (6, 6, 6), (20, 20, 20), (1.0, 1.0, 1.0))
    return Nodule.from_mask("n", np.where(mask, 20, -850).astype(np.int16), mask, (1.0, 1.0, 1.0))


@pytest.fixture(scope="session")
def cases(first, nodule, tmp_path_factory):
    """A real case with one implanted copy, and a phantom."""
    folder, (ct, label) = tmp_path_factory.mktemp("cases"), a_chest_ct()
    for name, copies in (("real", [1, 0]), ("phantom", None)):
        write_case(folder / name, ct, label, load_model(str(first)), stride=4, nodules=[nodule], copies=copies)
    return [LookCase(folder / "real", "hospital"), LookCase(folder / "phantom", PHANTOM)]


@pytest.fixture(scope="session")
def backgrounds(cases):
    return [Background(case) for case in cases]


def a_sample(seed, *, tumor, source):
    """Make a sample of noise, with a dense ball if it is a tumor."""
    rng = np.random.default_rng(seed)
    ball = ellipsoid((20, 20, 20), (7, 7, 7), (40, 40, 40), (1.0, 1.0, 1.0))
    fine = np.where(ball & bool(tumor), 40, -850) + rng.normal(0, 20, ball.shape)
    coarse = rng.normal(-500, 50, (2, 32, 32, 32))
    mask = (ball & bool(tumor)).astype(np.uint8)
    return Sample(fine.astype(np.int16), coarse.astype(np.int16), mask, 0.0, tumor, source)


@pytest.fixture(scope="session")
def pool():
    """Four samples in two shards, of two sources, half of them tumors."""
    samples = [a_sample(i, tumor=i % 2, source="one" if i < 2 else "two") for i in range(4)]
    return Pool([Samples.of(samples[:3]), Samples.of(samples[3:])])


@pytest.fixture
def config(tmp_path):
    """Build a configuration of seconds; keywords change the settings of the second network."""

    def build(output: Path = tmp_path / "out", **values):
        usual = {"width": 1, "batch": 4, "learning_rate": 0.01, "warmup_steps": 1, "folds": (("one",), ("two",))}
        return LookTrainingConfig(str(output), LookConfig(**usual | values), threads=1)

    return build


@pytest.fixture
def density_network():
    return DensityNetwork().eval()
