"""Means, paired tests and strata of a bench, by hand."""

import csv

import pytest
from LungTumorSegLib.training.bench.config import bench_config_from_dict
from LungTumorSegLib.training.bench.tables import (
    METRICS,
    compare,
    effort_rows,
    strata_rows,
    summary_rows,
    values_of,
    write_tables,
)


@pytest.fixture
def config():
    entries = [{"name": "a"}, {"name": "b", "settings": {"model": {"name": "vnet"}}}]
    strata = {"reader": {"easy": ["p1"], "hard": ["p2", "p3"]}}
    return bench_config_from_dict(
        {"output": "x", "baseline": "a", "base": {"model": {"name": "unet3d"}}, "entries": entries, "strata": strata}
    )


def case(name, dice, *, lesions=1, ml=5.0):
    metrics = {**dict.fromkeys(METRICS, 0.0), "dice_3d": dice, "hd95_mm": None}
    return {"case": name, "patient": name, "phantom": name == "p3", "lesions": lesions, "reference_ml": ml, **metrics}


def run(entry, seed, *cases):
    effort = {"network": "unet3d", "parameters": 7, "steps": 10 * seed, "training_seconds": 60.0}
    effort |= {"training_bytes": seed << 30} if entry == "b" else {}
    return {"entry": entry, "seed": seed, "fold": 0, **effort, "cases": list(cases)}


def results():
    return [
        run("a", 1, case("p1", 0.5), case("p2", 0.2, ml=20.0), case("p3", 0.0, lesions=0)),
        run("b", 1, case("p1", 0.7), case("p2", 0.1, ml=20.0), case("p3", 1.0, lesions=0)),
        run("b", 2, case("p1", 0.9), case("p2", 0.3, ml=20.0), case("p3", 1.0, lesions=0)),
    ]


def test_seeds_are_averaged_first_and_cases_without_lesions_have_no_dice():
    assert values_of(results(), "b", "dice_3d") == pytest.approx({"p1": 0.8, "p2": 0.2})
    assert set(values_of(results(), "b", "false_positives")) == {"p1", "p2", "p3"}
    assert values_of(results(), "b", "hd95_mm") == {}


def test_the_summary_has_mean_and_sd_over_cases_and_the_paired_difference(config):
    rows = {(row["entry"], row["metric"]): row for row in summary_rows(results(), config)}
    b = rows["b", "dice_3d"]
    assert (b["cases"], b["pairs"]) == (2, 2)
    assert (b["mean"], b["sd"], b["difference"]) == pytest.approx((0.5, 0.3 * 2**0.5, 0.15))
    assert rows["a", "dice_3d"]["p"] is None
    assert rows["b", "hd95_mm"]["mean"] is None


def test_wilcoxon_pairs_by_case():
    baseline = {str(i): 0.5 for i in range(6)}
    better = {str(i): 0.6 + i / 100 for i in range(6)}
    pairs, difference, p = compare({**better, "only here": 0.0}, baseline)
    assert (pairs, difference) == (6, pytest.approx(0.125))
    assert p == pytest.approx(2 / 2**6)  # all six differences have one sign: the exact two-sided p
    assert compare(baseline, baseline) == (6, 0.0, None)
    assert compare({}, baseline) == (0, None, None)


def test_strata_by_volume_source_and_the_users_groups(config):
    rows = {(r["stratum"], r["group"], r["entry"], r["metric"]): r for r in strata_rows(results(), config)}
    assert rows["tumor volume", "over 10 mL", "b", "dice_3d"]["mean"] == pytest.approx(0.2)
    assert rows["reader", "easy", "b", "dice_3d"]["mean"] == pytest.approx(0.8)
    assert ("source", "phantom", "b", "dice_3d") not in rows  # it has no lesion
    assert rows["source", "phantom", "b", "false_positives"]["cases"] == 1


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_files_have_every_case_and_the_efforts_are_means_over_runs(config, tmp_path):
    write_tables(results(), config, tmp_path)
    assert len(rows_of(tmp_path / "cases.csv")) == 9
    assert {row["entry"] for row in rows_of(tmp_path / "summary.csv")} == {"a", "b"}
    assert rows_of(tmp_path / "strata.csv")
    a, b = effort_rows(results(), config)
    assert b["steps"] == 15
    assert (a["gib"], b["gib"]) == (None, 2)  # results of earlier versions do not state it
