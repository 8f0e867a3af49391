"""The configuration of a bench: what is merged, and what is refused."""

import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.training.bench.config import bench_config_from_dict, read_bench_config, training_config
from LungTumorSegLib.training.config import LossConfig
from LungTumorSegLib.training.settings import merge_settings

LOBES = {"model": {"name": "pdv_net", "variant": "lobes"}, "lobes": {}, "network": {"loss": {"name": "softmax"}}}


def values(**changes):
    return {
        "output": "out",
        "baseline": "plain",
        "base": {"model": {"name": "unet3d", "width": 4}, "network": {"steps": 7}},
        "entries": [{"name": "plain"}, {"name": "V-Net", "settings": {"model": {"name": "vnet"}}}],
        **changes,
    }


def test_an_entry_changes_only_what_it_names(tmp_path):
    settings = {"model": {"name": "vnet"}, "network": {"loss": {"name": "squared_dice"}}, "extractor": None}
    config = bench_config_from_dict(values(entries=[{"name": "plain"}, {"name": "V-Net", "settings": settings}]))
    training = training_config(config, config.entries[1], tmp_path, 5)
    assert (training.model.name, training.model.width, training.network.steps) == ("vnet", 4, 7)
    assert (training.network.loss, training.extractor) == (LossConfig("squared_dice"), None)
    assert (training.output, training.seed) == (str(tmp_path), 5)
    assert merge_settings({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}) == {"a": {"c": 2}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "nobody"}, "baseline is 'nobody', but no entry has that name; the entries are plain, V-Net"),
        ({"entries": [{"name": "plain"}, {"name": "Plain"}]}, "Two entries have the same name"),
        ({"entries": [{"name": "../plain"}]}, "must consist of letters"),
        ({"folds": 1}, "folds must be"),
        ({"seeds": [1, 1]}, "seeds must be one or more different numbers"),
        ({"base": {"output": "x"}}, "base must not set output"),
        ({"base": {"data": {"phantoms": {"held_out": 2}}}}, "draws its own folds"),
        ({"base": LOBES, "entries": [{"name": "plain"}]}, "compares networks that find tumors; remove lobes"),
        (
            {"entries": [{"name": "plain", "settings": {"network": {"stpes": 3}}}]},
            "The entry 'plain': network has no setting 'stpes'",
        ),
        (
            {"entries": [{"name": "plain"}, {"name": "b", "settings": {"grid": {"spacing_mm": [1, 1, 1]}}}]},
            "'b' changes data or grid",
        ),
        ({"colour": 1}, "has no setting 'colour'; its settings are output, baseline, base"),
    ],
)
def test_mistakes_are_named_in_one_sentence(changes, message):
    with pytest.raises(UnusableInput, match=message):
        bench_config_from_dict(values(**changes))


def test_a_mistake_names_the_file(tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text("output: [")
    with pytest.raises(UnusableInput, match=r"bench\.yaml is not valid YAML"):
        read_bench_config(path)
