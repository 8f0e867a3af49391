"""JSON files are written in one way, which every JSON reader understands."""

import json
import math
import os
from pathlib import Path

import LungTumorSegLib
import pytest
from LungTumorSegLib.core.json_files import read_json, write_json

PACKAGE = Path(LungTumorSegLib.__file__).parent


def test_what_is_written_is_indented_utf_8_and_read_back(tmp_path):
    values = {"name": "Müller", "mm": (1.5, 2), "none": None, "is": True}
    write_json(tmp_path / "a.json", values)
    assert (tmp_path / "a.json").read_bytes().startswith(b'{\n  "name": "M\xc3\xbcller",\n')
    assert read_json(tmp_path / "a.json") == {**values, "mm": [1.5, 2]}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_is_null(tmp_path, number):
    write_json(tmp_path / "a.json", {"lesions": [{"volume_ml": number, "mm": (number, 1.0)}]})
    assert read_json(tmp_path / "a.json") == {"lesions": [{"volume_ml": None, "mm": [None, 1.0]}]}


def test_a_path_that_is_not_valid_text_is_read_back(tmp_path):
    path = os.fsdecode(b"/data/M\xfcller")
    write_json(tmp_path / "a.json", {"path": path})
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"path": path}


def test_every_json_file_is_written_in_this_way():
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.with_name("LungTumorSegPanel").rglob("*.py")]
    texts = {path.name: "".join(path.read_text(encoding="utf-8").split()) for path in files}
    assert [name for name, text in texts.items() if "write_text(json.dumps" in text or "json.dump(" in text] == []
