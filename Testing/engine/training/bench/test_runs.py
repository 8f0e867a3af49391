"""A whole bench at toy size: folds without leaks, tables, page, and what a stopped bench repeats."""

import json
from pathlib import Path
from typing import get_args

import pytest
import yaml
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.events import Cancelled, Progress
from LungTumorSegLib.core.peak_memory import STATUS
from LungTumorSegLib.networks.registry import PUBLISHED_WIDTHS
from LungTumorSegLib.training import loop
from LungTumorSegLib.training.bench import runs
from LungTumorSegLib.training.bench.config import read_bench_config
from LungTumorSegLib.training.bench.runs import assign_folds, run_bench
from LungTumorSegLib.training.config import StageConfig, TrainingConfig
from LungTumorSegLib.training.preparation import PreparedData
from LungTumorSegLib.training.sampling_config import AugmentationPart
from LungTumorSegLib.training.settings import merge_settings
from LungTumorSegLib.training.splits import PatientNames
from LungTumorSegLib.training.stages import check_stages
from training_cases import Kill, a_stored_case, toy_bench_base

BENCH = {
    "baseline": "U-Net",
    "base": toy_bench_base(epoch_steps=2),
    "entries": [
        {"name": "U-Net"},
        {"name": "PDV-Net", "settings": {"model": {"name": "pdv_net"}, "network": {"loss": {"name": "squared_dice"}}}},
    ],
    "folds": 2,
}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    cases = [a_stored_case(tmp_path / "cache" / name, name, seed=i) for i, name in enumerate(("anna", "ben", "carl"))]
    monkeypatch.setattr(runs, "prepare_data", lambda *_, **__: PreparedData(cases, [], []))
    monkeypatch.setattr(loop, "RECALIBRATION_BATCHES", 1)
    path = tmp_path / "bench.yaml"
    path.write_text(yaml.safe_dump({"output": str(tmp_path / "out"), **BENCH}))
    return path


def test_the_progress_of_a_run_covers_both_of_its_trainings():
    """Otherwise, the bar would be full after the extractor, and stand still while the network is trained."""
    seen = []
    config = TrainingConfig(output="out", network=StageConfig(steps=60))
    report = runs.progress_within(1, 4, config, lambda step: seen.append(step.done / step.total))
    for stage, total in (("training extractor", 20), ("training network", 60)):
        for step in range(0, total + 1, 10):
            report(Progress(stage, step, total))
    assert seen == sorted(seen)
    after_extractor, at_the_end = seen[2], seen[-1]
    assert after_extractor == pytest.approx((1 + 20 / 80) / 4)
    assert at_the_end == pytest.approx((1 + 0.99) / 4)


def test_a_stopped_bench_continues_without_repeating_finished_runs(bench, tmp_path, monkeypatch):
    trained = []
    original = runs.train_on
    monkeypatch.setattr(
        runs,
        "train_on",
        lambda config, data, tell: trained.append((config.output, data)) or original(config, data, tell),
    )

    def stop_in_the_second_run(step):
        if step.stage == "benchmarking" and step.done >= 100:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_bench(bench, stop_in_the_second_run)
    assert len(list(tmp_path.glob("out/runs/*/*/result.json"))) == 1
    page = (tmp_path / "out" / "bench.html").read_text()
    assert "1 of 4 runs are finished" in page
    assert "<title>Bench: out</title>" in page
    assert str(tmp_path) not in page
    page = run_bench(bench)
    assert "4 of 4 runs are finished" in page.read_text()
    assert "PDV-Net" in page.read_text()
    assert [output for output, _ in trained].count(trained[0][0]) == 1
    results = [json.loads(path.read_text()) for path in tmp_path.glob("out/runs/*/*/result.json")]
    assert {result["steps"] for result in results} == {2}
    if STATUS.is_file():
        assert all(100 << 20 < result["training_bytes"] < 10 << 30 for result in results)
    tested = sorted((r["entry"], c["patient"]) for r in results for c in r["cases"])
    assert tested == [(entry, name) for entry in ("PDV-Net", "U-Net") for name in ("anna", "ben", "carl")]
    for result, (_, data) in ((r, t) for r in results for t in trained if r["entry"] in t[0].replace("_", " ")):
        if f"fold-{result['fold'] + 1}" in _:
            assert not {c["patient"] for c in result["cases"]} & {case.patient for case in data.training}
    count = len(trained)
    run_bench(bench)
    assert len(trained) == count
    changed = {"output": str(tmp_path / "out"), **BENCH, "base": {**BENCH["base"], "precision": "auto", "workers": 0}}
    changed["base"]["network"] = {**BENCH["base"]["network"], "learning_rate": 0.5}
    bench.write_text(yaml.safe_dump(changed))
    with pytest.raises(UnusableInput, match=r"another configuration \(network\.learning_rate"):
        run_bench(bench)


def test_folds_keep_the_names_of_a_person_together_and_spread_phantoms(tmp_path):
    scans = [a_stored_case(tmp_path / name, name) for name in ("a", "b", "c", "d")]
    phantoms = [a_stored_case(tmp_path / name, name, is_phantom=True) for name in ("p", "q", "r", "s")]
    folds = assign_folds([*scans, *phantoms], 2, PatientNames([["a", "b"]]))
    assert set(folds) == {"a", "c", "d", "p", "q", "r", "s"}
    assert sorted(folds[name] for name in ("a", "c", "d")) in ([0, 0, 1], [0, 1, 1])
    assert sorted(folds[name] for name in ("p", "q", "r", "s")) == [0, 0, 1, 1]
    with pytest.raises(UnusableInput, match="5 folds need as many patients, but the data have 3"):
        assign_folds(scans, 5, PatientNames([["a", "b"]]))


def test_the_shipped_ablation_has_the_trainings_that_the_documentation_counts():
    path = Path(runs.__file__).with_name("ablation.yaml")
    planned = runs.plan(read_bench_config(path))
    for run in planned[:7]:
        check_stages(run.config)
    page = (Path(__file__).resolve().parents[4] / "docs/how-to/compare-networks.md").read_text(encoding="utf-8")
    assert f"It has {len(planned)} trainings (7 entries, 3 folds, 3 seeds) of up to 20 minutes" in page
    minutes = [sum(each.max_minutes for each in (run.config.extractor, run.config.network) if each) for run in planned]
    assert sum(minutes) / 60 == 21
    assert max(minutes) == 20


def test_the_small_ablation_gives_all_networks_equally_many_steps():
    planned = runs.plan(read_bench_config(Path(runs.__file__).with_name("ablation_small.yaml")))
    assert len(planned) == 42
    for run in planned[:7]:
        check_stages(run.config)
    assert {run.config.network.steps for run in planned} == {500}
    assert {run.config.network.max_minutes for run in planned} == {0}
    assert {run.config.extractor.steps for run in planned if run.config.extractor} == {150}


def test_the_ablation_of_augmentations_leaves_out_each_one_once():
    folder = Path(runs.__file__).parent
    small, parts = (read_bench_config(folder / f"ablation_{name}.yaml") for name in ("small", "augmentation"))
    assert (parts.base, parts.folds, parts.seeds) == (small.base, small.folds, small.seeds[:1])
    left_out = [run.config.sampling.augmentation_without for run in runs.plan(parts)[: len(parts.entries)]]
    assert sorted(left_out) == sorted([(), *((part,) for part in get_args(AugmentationPart))])


def test_the_small_bench_of_networks_has_all_that_the_ablation_leaves_out():
    folder = Path(runs.__file__).parent
    small, others = (read_bench_config(folder / f"{name}_small.yaml") for name in ("ablation", "networks"))
    assert (others.base, others.folds, others.seeds) == (small.base, small.folds, small.seeds[:1])
    planned = runs.plan(others)[: len(others.entries)]
    for run in planned:
        check_stages(run.config)
    assert [run.config.model.name for run in planned] == ["unet3d", *PUBLISHED_WIDTHS]


@pytest.mark.slow  # a minute of an idle machine
def test_the_shipped_ablation_starts_is_interrupted_and_ends_with_its_page(bench, tmp_path):
    """All entries of the shipped file, with trainings of two steps on small cases."""
    values = yaml.safe_load(Path(runs.__file__).with_name("ablation.yaml").read_text(encoding="utf-8"))
    tiny = {"steps": 2, "epoch_steps": 1, "batch": 2}
    values |= {"output": str(tmp_path / "out"), "folds": 2, "seeds": [1]}
    changes = {**toy_bench_base(epoch_steps=1), "network": {**tiny, "mined_cases": 0}}
    values["base"] = merge_settings(values["base"], changes)
    for entry in values["entries"]:
        if "extractor" in entry.get("settings", {}):
            entry["settings"]["extractor"] = tiny
    bench.write_text(yaml.safe_dump(values))
    with pytest.raises(KeyboardInterrupt):
        run_bench(bench, Kill(10))
    before = {path: path.read_bytes() for path in tmp_path.glob("out/runs/*/*/result.json")}
    assert 0 < len(before) < 14
    page = run_bench(bench).read_text(encoding="utf-8")
    assert "14 of 14 runs are finished" in page
    assert all(entry["name"] in page for entry in values["entries"])
    assert all(path.read_bytes() == content for path, content in before.items())
