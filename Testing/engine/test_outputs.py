"""No command writes into the folder, or onto the file, that it reads; it says so before the work begins."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run_command
from LungTumorSegLib.commands.parser import COMMANDS
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.io.images import write_volume
from volumes import make_ct

Way = Callable[[Path], Path]
"""How the output is written on the command line."""


def _as_given(path: Path) -> Path:
    return path


def _relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def _with_detour(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / path.name


def _through_link(path: Path) -> Path:
    link = path.with_name(f"link-to-{path.name}")
    link.symlink_to(path)
    return link


WAYS = (_as_given, _relative, _with_detour, _through_link)


def a_dicom_folder(folder: Path) -> Path:
    dicom = folder / "dicom"
    dicom.mkdir(parents=True)
    (dicom / "slice.dcm").write_bytes(b"\0" * 128 + b"DICM")
    return dicom


def an_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(make_ct(), path)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def nodules(folder: Path) -> Path:
    return text(folder / "nodules" / "notes.txt", "the user's").parent


def training(folder: Path, output: Path, name: str = "train.yaml") -> Path:
    return text(
        folder / name,
        f"output: {output}\nmodel: {{name: unet3d, width: 4}}\ndata: {{nodules: {{folder: {nodules(folder)}}}}}\n",
    )


def bench(folder: Path, output: Path, name: str = "bench.yaml") -> Path:
    base = f"{{model: {{name: unet3d, width: 4}}, data: {{nodules: {{folder: {nodules(folder)}}}}}}}"
    return text(folder / name, f"output: {output}\nbaseline: a\nbase: {base}\nentries: [{{name: a}}, {{name: b}}]\n")


def compared(folder: Path, output: Callable[[Path, Path], Path]) -> list[object]:
    results = [text(folder / name / "notes.txt", "the user's").parent for name in ("january", "april")]
    return [*results, "-o", output(*results)]


FOLDERS: dict[str, Callable[[Path, Way], list[object]]] = {
    "segment": lambda folder, way: ["segment", (ct := a_dicom_folder(folder)), "-o", way(ct)],
    "isolate": lambda folder, way: ["isolate", (ct := a_dicom_folder(folder)), "-o", way(ct)],
    "batch": lambda folder, way: ["batch", (ct := a_dicom_folder(folder)), "-o", way(ct)],
    "measure": lambda folder, way: [
        "measure",
        (ct := a_dicom_folder(folder)),
        an_image(folder / "m.nrrd"),
        "-o",
        way(ct),
    ],
    "compare": lambda folder, way: ["compare", *compared(folder, lambda earlier, _: way(earlier))],
    "compare, later": lambda folder, way: ["compare", *compared(folder, lambda _, later: way(later))],
    "train": lambda folder, way: ["train", training(folder, way(nodules(folder)))],
    "bench": lambda folder, way: ["bench", bench(folder, way(nodules(folder)))],
}
"""Arguments, by command, whose output folder is an input folder."""

FILES: dict[str, Callable[[Path, Way], list[object]]] = {
    "segment": lambda out, way: ["segment", way(an_image(out / "probability.nrrd")), "-o", out],
    "isolate": lambda out, way: ["isolate", way(an_image(out / "isolated.nrrd")), "-o", out],
    "batch": lambda out, way: ["batch", way(text(out / "cohort.csv", "path\nct.nii.gz\n")), "-o", out],
    "measure": lambda out, way: [
        *("measure", an_image(out.parent / "ct.nrrd"), way(an_image(out / "segmentation.nii.gz"))),
        *("--format", "nifti", "-o", out),
    ],
    "measure, CT": lambda out, way: [
        "measure",
        way(an_image(out / "margins.seg.nrrd")),
        an_image(out.parent / "m.nrrd"),
        "--margins",
        5,
        "-o",
        out,
    ],
    "compare": lambda out, way: [
        *("compare", an_image(out.parent / "a.nrrd"), way(an_image(out / "earlier-lesions.seg.nrrd"))),
        *("--outlines", "-o", out),
    ],
    "evaluate": lambda out, way: [
        "evaluate",
        (a := an_image(out / "a.nrrd")),
        an_image(out / "b.nrrd"),
        "--cases",
        way(a),
    ],
    "evaluate, reference": lambda out, way: [
        "evaluate",
        an_image(out / "a.nrrd"),
        (b := an_image(out / "b.nrrd")),
        "--cases",
        way(b),
    ],
    "train": lambda out, way: ["train", way(training(out, out, "config.json"))],
    "bench": lambda out, way: ["bench", way(bench(out, out, "cases.csv"))],
}
"""Arguments, by command, one of whose output files is an input file."""

WITHOUT = {"answer", "phantom", "demo", "models"}
"""Commands that read no files, or write none."""


def test_every_command_that_reads_and_writes_is_in_the_tables():
    with_files = {command.name for command in COMMANDS} - WITHOUT
    assert {name.partition(",")[0] for name in FILES} == with_files
    assert {name.partition(",")[0] for name in FOLDERS} == with_files - {"evaluate"}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(arguments: list[object], folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(UnusableInput, match="is an input of this run") as refusal:
        run_command(*arguments)
    assert "\n" not in str(refusal.value)
    assert contents(folder) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_the_output_folder_is_no_input(tmp_path, name):
    assert_refused(FOLDERS[name](tmp_path, _through_link), tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_no_output_file_is_an_input(tmp_path, name):
    assert_refused(FILES[name](tmp_path / "out", _through_link), tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_however_the_output_is_written(tmp_path, way):
    assert_refused(FOLDERS["isolate"](tmp_path, way), tmp_path)
    assert_refused([*FILES["isolate"](tmp_path / "out", way), "--overwrite"], tmp_path)
