"""The drawings of the networks are what the code computes."""

import re

import pytest
from LungTumorSegLib.networks.registry import network_names
from tools import FOLDER, tool

drawings = tool("draw_networks")


@pytest.mark.parametrize("name", network_names())
def test_the_drawing_is_that_of_the_code(name):
    stored = (drawings.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert stored == drawings.picture(name), "run: python Testing/tools/draw_networks.py"


def test_every_drawing_is_on_the_page_of_the_networks():
    page = (FOLDER.parents[1] / "docs/explanation/networks.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\(\.\./images/networks/(\w+)\.svg\)", page)) == sorted(network_names())


def test_lines_are_the_data_flow():
    boxes = {box.name: box for box in drawings.flow("vnet")}
    assert [source.name for source in boxes["right.3"].sources] == ["first", "up.3"]
    assert boxes["first"].sources == [None]
    assert drawings.kernels(boxes["left.3"].module) == ["3 × 5³"]
    assert drawings.kernels(boxes["up.0"].module) == ["2³↑"]
