"""A training of lobes: label maps of any values, samples of whole lungs, a falling loss, and Dice by lobe."""

import csv
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.events import ignore_progress
from LungTumorSegLib.core.lobes import LOBES
from LungTumorSegLib.core.volume import AxisOrder
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks.contract import ClassNetwork
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.phantom import PhantomOptions
from LungTumorSegLib.training import loop, preparation
from LungTumorSegLib.training.config import GridConfig, LossConfig, ModelConfig, StageConfig, config_from_dict
from LungTumorSegLib.training.data_config import CaseConfig, DataConfig, PhantomConfig, SplitConfig
from LungTumorSegLib.training.datasets import read_lobes
from LungTumorSegLib.training.lobe_config import LobeConfig
from LungTumorSegLib.training.lobes import LobeSampler, LobeVolumes, find_lobes, lobe_dices
from LungTumorSegLib.training.loop import TrainingLoop
from LungTumorSegLib.training.phantoms import KINDS, PhantomKind
from LungTumorSegLib.training.preparation import PreparedData
from LungTumorSegLib.training.sampling_config import AppearanceConfig, SamplingConfig
from LungTumorSegLib.training.stages import run_training
from LungTumorSegLib.training.store import IGNORED, load_case
from training_cases import TOY, Kill, a_chest_ct, log_rows

GRID = GridConfig((10.0, 9.0, 9.0))
VALUES = dict(zip(LOBES, ((10,), (11, 21), (12,), (13,), (14,)), strict=True))
STAGE = StageConfig(
    steps=6,
    epoch_steps=6,
    batch=2,
    learning_rate=0.02,
    warmup_steps=0,
    schedule="constant",
    mined_cases=0,
    prior=0.2,
    loss=LossConfig("multiclass_dice"),
)
CONFIG = replace(
    TOY,
    grid=GRID,
    model=ModelConfig("pdv_net", 4, "lobes"),
    lobes=LobeConfig(VALUES, partial=0.0),
    sampling=SamplingConfig(crop=(24, 24, 32), augmentation="none", appearance=AppearanceConfig(contrast=0.0)),
    network=STAGE,
)


def a_lobe_map(ct):
    """Label map with ``VALUES`` of the small chest, whose lobes are blocks, and a value of no lobe."""
    z, y, x = np.indices(ct.shape)
    left = np.where(z < 4, 21, np.where(z < 12, 11, 10))
    labels = np.where(x > 28, left, np.where(z < 12, 14, np.where(y < 18, 13, 12)))
    labels[ct.array > -500] = 0
    labels[ct.array > 300] = 7  # a bone
    return ct.with_array(labels.astype(np.uint8))


@pytest.fixture(scope="module")
def chest(tmp_path_factory):
    """A CT and its lobe map as files."""
    folder = tmp_path_factory.mktemp("chest")
    ct, _ = a_chest_ct()
    write_volume(ct, folder / "ct.nii.gz")
    write_volume(a_lobe_map(ct), folder / "lobes.nii.gz")
    return ct, CaseConfig(str(folder / "ct.nii.gz"), "anna", (str(folder / "lobes.nii.gz"),))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A phantom with lobes, prepared as a training does."""
    tiny = PhantomOptions(
        spacing_mm=(8.0, 4.1, 3.7), lesions=(), distractors=(), couch="none", arms="up", lobes=True, body_grid_mm=8.0
    )
    data = DataConfig(
        cache=str(tmp_path_factory.mktemp("cache")), phantoms=PhantomConfig(count=1, first_seed=31, kind="lobes")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PhantomKind, "options", lambda self, seed: replace(tiny, lobes=self.lobes))
        (job,) = preparation.jobs_of_phantoms(data, GRID, held_out=False)
        preparation.prepare_one(job)
    return load_case(job.folder)


def test_values_of_any_label_map_become_the_five_lobes(chest):
    ct, case = chest
    label = read_lobes(case, ct, VALUES).array
    values = a_lobe_map(ct).array
    for number, name in enumerate(LOBES, start=1):
        assert np.array_equal(label == number, np.isin(values, VALUES[name]))
        assert (label == number).any()
    assert set(np.unique(label[values == 7])) == {0}


def test_label_maps_without_a_lobe_are_refused(chest):
    ct, case = chest
    with pytest.raises(UnusableInput, match="contain no value of a lobe"):
        read_lobes(case, ct, {name: (90 + n,) for n, name in enumerate(LOBES)})


def test_a_phantom_is_prepared_with_its_lobes(stored):
    assert set(np.unique(stored.label)) - {IGNORED} == {0, 1, 2, 3, 4, 5}
    left, right = (np.argwhere(np.isin(stored.label, labels))[:, 2].mean() for labels in ((1, 2), (3, 4, 5)))
    assert left > right, "columns run toward the patient's left"


def test_held_out_phantoms_have_lobes_too():
    data = DataConfig(phantoms=PhantomConfig(count=1, held_out=1, kind="lobes"))
    jobs = [next(iter(preparation.jobs_of_phantoms(data, GRID, held_out=held_out))) for held_out in (False, True)]
    assert all(job.kind == "lobes" for job in jobs)
    assert KINDS["lobes"].options(1).lobes


def test_samples_show_whole_lungs_and_are_never_mirrored(stored):
    sampling = replace(CONFIG.sampling, crop=(32, 40, 40))
    sampler = LobeSampler([stored], GRID, sampling, partial=0.0)
    for seed in range(6):
        image, label = sampler.draw(np.random.default_rng(seed))
        assert image.shape == label.shape == (32, 40, 40)
        assert (image.dtype, label.dtype) == (np.float32, np.uint8)
        assert [np.count_nonzero(label == n) for n in range(6)][1:] == [
            np.count_nonzero(stored.label == n) for n in range(1, 6)
        ]
        left, right = (np.argwhere(np.isin(label, labels))[:, 2].mean() for labels in ((1, 2), (3, 4, 5)))
        assert left > right


def test_the_papers_augmentation_leaves_out_mirroring(monkeypatch):
    seen = []
    monkeypatch.setattr("LungTumorSegLib.training.lobes.build_augmentation", lambda *given: seen.append(given))
    LobeSampler([], GRID, SamplingConfig(augmentation_without=("blur",)), 0.0)
    assert seen == [("paper", {"blur", "flip"})]


def test_partial_samples_show_neighboring_slices_only(stored):
    sampler = LobeSampler([stored], GRID, replace(CONFIG.sampling, crop=(32, 40, 40)), partial=1.0)
    image, label = sampler.draw(np.random.default_rng(2))
    shown = np.flatnonzero((label > 0).any(axis=(1, 2)))
    assert 0 < len(shown) < np.count_nonzero((stored.label > 0).any(axis=(1, 2)))
    assert np.array_equal(shown, np.arange(shown[0], shown[-1] + 1))
    assert not image[np.setdiff1d(np.arange(32), np.arange(shown[0] - 1, shown[-1] + 2))].any()


@pytest.fixture
def train(stored, tmp_path, monkeypatch):
    """``train(folder, on_progress)``: a loop of six steps on the phantom; it returns the weights."""
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    monkeypatch.setattr(loop, "RECALIBRATION_BATCHES", 1)

    def run(folder, on_progress=ignore_progress):
        config = replace(CONFIG, output=str(tmp_path / folder))
        torch.manual_seed(1)
        network = build_network("pdv_net", 4, variant="lobes")
        network.set_prior(STAGE.prior)
        data = PreparedData([stored], [stored], [])
        cpu = torch.device("cpu")
        training = TrainingLoop(
            "network",
            2,
            network,
            STAGE,
            config=config,
            data=data,
            volumes=LobeVolumes(config.grid, cpu, "float32"),
            device=cpu,
            precision="float32",
        )
        return training.run(on_progress).state_dict()

    return run


def test_the_loss_of_a_phantom_falls(train, tmp_path):
    train("run")
    rows = log_rows(tmp_path / "run")
    losses = [float(row["loss"]) for row in rows if row["loss"]]
    assert len(losses) == 6
    assert np.mean(losses[-2:]) < 0.9 * np.mean(losses[:2])
    assert 0 <= float(next(row["dice"] for row in rows if row["dice"])) <= 1


@pytest.mark.slow  # 5 s
def test_an_interrupted_training_of_lobes_ends_as_an_undisturbed_one(train, monkeypatch):
    whole = train("whole")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        train("killed", Kill(4))
    for name, value in train("killed").items():
        assert torch.equal(value, whole[name]), name


def test_real_lobe_masks_train_a_model_that_no_segmentation_takes_for_one_of_tumors(chest, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "RECALIBRATION_BATCHES", 1)
    _, case = chest
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"schema_version": 1, "training": ["anna"], "validation": ["ben"], "test": []}))
    data = DataConfig(
        cache=str(tmp_path / "cache"), cases=(case, replace(case, patient="ben")), split=SplitConfig(str(split))
    )
    config = replace(CONFIG, output=str(tmp_path / "run"), data=data, network=replace(STAGE, steps=1, batch=1))
    model = run_training(config_from_dict(json.loads(json.dumps(asdict(config)))))
    with (tmp_path / "run/held-out/lobes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"].split("-")[0] for row in rows] == ["ben", "mean"]
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in LOBES)
    with pytest.raises(UnusableInput, match="outlines lobes, not tumors"):
        load_model(str(model))
    assert load_model(str(model), lobes=True).manifest.variant == "lobes"


class Blocks(ClassNetwork):
    """Scores by place: columns decide the side, slices decide upper or lower."""

    multiple = (1, 1, 1)

    def _maps(self, stack):
        depth, _, width = stack.shape[2:]
        left = (torch.arange(width) >= width / 2).float().expand(stack.shape)
        upper = (torch.arange(depth) >= depth / 2).float()[:, None, None].expand(stack.shape)
        lobes = [left * upper, left * (1 - upper), (1 - left) * upper, 0 * left, (1 - left) * (1 - upper)]
        return [torch.cat([2 + 0 * left, *lobes], dim=1)]  # background has the highest score everywhere

    def prior_biases(self):
        return []


@pytest.mark.parametrize("order", [((0, 1, 2), (False, False, False)), ((2, 0, 1), (True, False, True))])
def test_lobes_divide_the_lungs_on_the_grid_of_any_ct(order):
    ct, _ = a_chest_ct()
    turned = AxisOrder(*order).apply(ct)
    found = find_lobes(Blocks(), turned, GRID)
    assert found.same_grid(turned)
    lobes = AxisOrder(*order).undo(found).array
    inside = lobes > 0
    assert np.mean(ct.array[inside] < -500) > 0.95
    x, z = np.meshgrid(np.arange(56), np.arange(24), indexing="xy")
    for label, side, half in ((1, x > 30, z > 14), (2, x > 30, z < 10), (3, x < 26, z > 14), (5, x < 26, z < 10)):
        here = np.broadcast_to((side & half)[:, None], lobes.shape) & inside
        assert np.mean(lobes[here] == label) > 0.99


def test_dice_counts_the_lobes_in_view():
    truth, found = np.zeros((1, 2, 6), np.uint8), np.zeros((1, 2, 6), np.uint8)
    truth[..., :2], truth[..., 2:4], truth[..., 5] = 1, 5, IGNORED
    found[..., :3], found[..., 3:] = 1, 5
    assert lobe_dices(found, truth) == pytest.approx({"left_upper": 8 / 10, "right_lower": 4 / 8})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lobes": None}, "The section lobes and model.variant: lobes belong together"),
        ({"model": {"name": "pdv_net", "width": 4}}, "The section lobes and model.variant: lobes belong together"),
        ({"network": {"loss": {"name": "dice_bce"}}}, "network.loss.name is 'dice_bce', but multiclass_dice and"),
        ({"data": {"phantoms": {"count": 1}}}, "data.phantoms.kind: lobes belongs to a training of lobes"),
        ({"data": {"nodules": {"folder": "n"}}}, "implants no nodules"),
        ({"lobes": {"values": {"left_upper": [1]}}}, "lobes.values must give each of left_upper, "),
        ({"lobes": {"values": {**VALUES, "left_upper": [11]}}}, "lobes.values must give each of left_upper, "),
        ({"lobes": {"values": {"lingula": [1]}}}, "lobes.values"),
    ],
)
def test_settings_that_do_not_belong_to_lobes_are_refused(changes, message):
    values = {
        "output": "o",
        "model": {"name": "pdv_net", "variant": "lobes"},
        "lobes": {},
        "network": {"loss": {"name": "softmax"}},
    }
    assert config_from_dict(values).lobes == LobeConfig()
    with pytest.raises(UnusableInput, match=message):
        config_from_dict({**values, **changes})


def test_the_loss_of_lobes_belongs_to_no_other_training():
    with pytest.raises(UnusableInput, match="are the losses of a training of lobes"):
        config_from_dict({"output": "o", "network": {"loss": {"name": "softmax"}}})
