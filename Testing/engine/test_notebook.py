"""The notebook of the documentation runs from its first cell to its last."""

from __future__ import annotations

import json
from pathlib import Path

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs/tutorial/python.ipynb"


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_runs(a_bright_model, tmp_path, monkeypatch, capsys):
    """With a smaller phantom and a faster model than those of the reader."""
    monkeypatch.chdir(tmp_path)
    replaced = {
        'MODEL = "default"': f"MODEL = {str(a_bright_model)!r}",
        "(3.0, 1.5, 1.5)": "(6.0, 4.5, 4.5), height_mm=(-75.0, 0.0), couch='none', distractors=(), body_grid_mm=6.0",
    }
    source = "\n".join(code_cells())
    for old, new in replaced.items():
        assert source.count(old) == 1
        source = source.replace(old, new)
    exec(compile(source, NOTEBOOK.name, "exec"), {})  # noqa: S102
    printed = capsys.readouterr().out
    assert "Tumor 1: " in printed
    assert "segmentation.seg.nrrd" in printed
    assert 0 < float(printed.split("3D Dice: ")[1].split()[0]) <= 1


def test_the_notebook_is_stored_without_outputs():
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
