"""A set of results is complete or it is not there, and nothing of the user's is replaced or removed."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.core.terminology import UNSPECIFIED
from LungTumorSegLib.io.images import read_ct, write_volume
from LungTumorSegLib.io.label_names import write_label_map
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.results import folder as folder_module
from LungTumorSegLib.results.folder import check_output, complete_or_nothing, files_of_group, read_consistently, settle
from LungTumorSegLib.results.mark import MARK_FILE, Mark, fingerprint, read_mark
from LungTumorSegLib.results.replaceable_files import Output
from LungTumorSegLib.results.writable import check_output_folder, check_room
from struck import CALLS, KILLED, NOT_REACHED, READING_CALLS, die, fail, interrupt, small_process, write_set
from volumes import make_ct

GROUP = "result"


def contents(folder: Path) -> dict[str, str]:
    """Path to text of all files below ``folder`` but the mark."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in files.items() if path.name != MARK_FILE}


def write(folder: Path, *names: str, text: str = "new", failure: BaseException | None = None, **output) -> None:
    with complete_or_nothing(Output(folder, output.pop("group", GROUP), **output)) as private:
        for name in names:
            (private / name).write_text(text)
        if failure is not None:
            raise failure


@pytest.fixture
def an_earlier_run(tmp_path):
    folder = tmp_path / "out"
    write(folder, "lesions.csv", "spread.png", "summary.json", text="earlier")
    (folder / "notes.txt").write_text("the user's")
    return folder


EARLIER = {**dict.fromkeys(("lesions.csv", "spread.png", "summary.json"), "earlier"), "notes.txt": "the user's"}


# What a run writes


def test_files_appear_only_when_the_block_ends(tmp_path):
    folder = tmp_path / "Ärzte 肺" / "out"
    with complete_or_nothing(Output(folder, GROUP)) as private:
        (private / "lesions.csv").write_text("new")
        assert not folder.exists()
    assert contents(tmp_path) == {"Ärzte 肺/out/lesions.csv": "new"}
    assert {path.name for path in folder.iterdir()} == {"lesions.csv", MARK_FILE}
    assert [path.name for path in tmp_path.iterdir()] == ["Ärzte 肺"], "no private folder is left"


def test_a_second_run_replaces_all_files_of_the_first_and_others_stay(an_earlier_run):
    write(an_earlier_run, "lesions.csv", "summary.json")
    assert contents(an_earlier_run) == {"lesions.csv": "new", "summary.json": "new", "notes.txt": "the user's"}


def test_files_that_are_kept_and_those_of_other_groups_stay(an_earlier_run):
    write(an_earlier_run, "isolation.json", group="isolation")
    write(an_earlier_run, "summary.json", keep={"lesions.csv"})
    assert contents(an_earlier_run) == {
        "isolation.json": "new",
        "summary.json": "new",
        "lesions.csv": "earlier",
        "notes.txt": "the user's",
    }
    assert files_of_group(an_earlier_run, GROUP) == {"lesions.csv", "summary.json"}


def test_the_mark_tells_what_was_written_with_checksums(an_earlier_run):
    mark = read_mark(an_earlier_run)
    assert mark.names_of(GROUP) == {"lesions.csv", "spread.png", "summary.json"}
    assert all(mark.files[name].sha256 == fingerprint(an_earlier_run / name) for name in mark.files)


# What the user keeps


def edit(folder: Path) -> str:
    (folder / "lesions.csv").write_text("corrected by hand")
    return "lesions.csv"


def own_file(folder: Path) -> str:
    (folder / "report.html").write_text("the user's")
    return "report.html"


def edit_what_is_not_written_again(folder: Path) -> str:
    (folder / "spread.png").write_text("with arrows")
    return "spread.png"


def link(folder: Path) -> str:
    (folder / "report.html").symlink_to(folder / "notes.txt")
    return "report.html"


def dangling_link(folder: Path) -> str:
    (folder / "report.html").symlink_to(folder / "nowhere")
    return "report.html"


def foreign_mark(folder: Path) -> str:
    (folder / MARK_FILE).write_text('{"files": {"notes.txt": 1}}')
    return "lesions.csv"


def copied_mark(folder: Path) -> str:
    """The mark of another folder proves nothing about files that only have the same names."""
    for name in ("lesions.csv", "spread.png", "summary.json"):
        (folder / name).write_text("the user's")
    return "lesions.csv"


IN_THE_WAY = [edit, own_file, edit_what_is_not_written_again, link, dangling_link, foreign_mark, copied_mark]
WRITTEN = ("lesions.csv", "report.html", "summary.json")


def state(folder: Path) -> dict[str, object]:
    return {
        path.name: os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.iterdir()
        if not path.is_dir()
    }


@pytest.mark.parametrize("prepare", IN_THE_WAY)
def test_what_is_not_ours_or_was_changed_is_refused_by_name_and_stays(an_earlier_run, prepare):
    name = prepare(an_earlier_run)
    before = state(an_earlier_run)
    for attempt in (
        lambda: check_output(Output(an_earlier_run, GROUP), WRITTEN),
        lambda: write(an_earlier_run, *WRITTEN),
    ):
        with pytest.raises(UnusableInput, match=f"{re.escape(name)}.*--overwrite"):
            attempt()
        assert state(an_earlier_run) == before


@pytest.mark.parametrize("prepare", IN_THE_WAY)
def test_overwrite_allows_it_and_touches_nothing_else(an_earlier_run, prepare):
    prepare(an_earlier_run)
    check_output(Output(an_earlier_run, GROUP, overwrite=True), WRITTEN)
    write(an_earlier_run, *WRITTEN, overwrite=True)
    found = contents(an_earlier_run)
    assert {name: found[name] for name in WRITTEN} == dict.fromkeys(WRITTEN, "new")
    assert found["notes.txt"] == "the user's"


@pytest.mark.parametrize(
    "record",
    [
        '{"files": ["thesis.docx"]}',
        '{"files": 3}',
        "[]",
        "no JSON",
        "[" * 100_000,
        '{"program": "LungTumorSeg", "files": {}}',
    ],
)
@pytest.mark.parametrize("name", ["summary.json", MARK_FILE])
def test_a_file_that_merely_looks_like_our_record_proves_nothing(tmp_path, name, record):
    (tmp_path / "thesis.docx").write_text("x")
    (tmp_path / name).write_text(record)
    with pytest.raises(UnusableInput, match=re.escape(name)):
        write(tmp_path, "lesions.csv", "summary.json")
    write(tmp_path, "lesions.csv", "summary.json", overwrite=True)
    assert (tmp_path / "thesis.docx").read_text() == "x"


@pytest.mark.parametrize("name", ["../outside.txt", "a/b", "..", "", MARK_FILE])
def test_a_mark_cannot_name_files_elsewhere(tmp_path, name):
    write(tmp_path / "out", "lesions.csv")
    mark = json.loads((tmp_path / "out" / MARK_FILE).read_text())
    mark["files"][name] = mark["files"]["lesions.csv"]
    (tmp_path / "out" / MARK_FILE).write_text(json.dumps(mark))
    assert read_mark(tmp_path / "out") is None


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("input_name", ["lesions.csv", "linked"])
def test_an_output_never_equals_an_input(an_earlier_run, overwrite, input_name):
    (an_earlier_run.parent / "linked").symlink_to(an_earlier_run / "lesions.csv")
    source = an_earlier_run / input_name if input_name == "lesions.csv" else an_earlier_run.parent / input_name
    output = {"inputs": (source,), "overwrite": overwrite}
    with pytest.raises(UnusableInput, match=r"lesions\.csv is an input"):
        check_output(Output(an_earlier_run, GROUP, **output), WRITTEN)
    with pytest.raises(UnusableInput, match=r"lesions\.csv is an input"):
        write(an_earlier_run, *WRITTEN, **output)
    assert contents(an_earlier_run) == EARLIER


def test_a_file_of_another_command_is_not_taken_for_one_of_the_user(an_earlier_run):
    with pytest.raises(UnusableInput, match=r"lesions\.csv in .* another command of LungTumorSeg wrote it; choose"):
        check_output(Output(an_earlier_run, "isolation"), ["lesions.csv"])
    (an_earlier_run / "lesions.csv").write_text("edited")
    with pytest.raises(UnusableInput, match="did not write it, or it was changed"):
        check_output(Output(an_earlier_run, "isolation"), ["lesions.csv", "summary.json"])
    check_output(Output(an_earlier_run, "isolation", overwrite=True), ["lesions.csv"])


def test_a_name_that_no_file_can_have_is_refused_before_the_work(tmp_path):
    with pytest.raises(UnusableInput, match=r"File name too long\); choose another name"):
        check_output(Output(tmp_path, GROUP), {"a" * 300 + ".csv"})


@pytest.mark.parametrize("header", ["ct.mhd", "ct.nhdr"])
def test_detached_voxels_of_an_input_are_an_input(tmp_path, header):
    write_volume(make_ct(), tmp_path / f"ct.{'mha' if header == 'ct.mhd' else 'nrrd'}", compress=False)
    whole = next(tmp_path.iterdir())
    stated, separator, voxels = whole.read_bytes().partition(b"LOCAL\n" if header == "ct.mhd" else b"\n\n")
    named = stated + (b"lesions.csv\n" if header == "ct.mhd" else b"\ndata file: lesions.csv\n\n")
    whole.unlink()
    (tmp_path / header).write_bytes(named)
    (tmp_path / "lesions.csv").write_bytes(voxels)
    assert separator
    assert np.array_equal(read_ct(tmp_path / header).array, make_ct().array)
    output = {"inputs": (tmp_path / header,), "overwrite": True}
    with pytest.raises(UnusableInput, match=r"lesions\.csv is an input"):
        check_output(Output(tmp_path, GROUP, **output), WRITTEN)
    with pytest.raises(UnusableInput, match=r"lesions\.csv is an input"):
        write(tmp_path, *WRITTEN, **output)
    assert (tmp_path / "lesions.csv").read_bytes() == voxels


def test_the_names_beside_an_input_are_an_input(tmp_path):
    ct = make_ct()
    segment = Segment("Tumor 1", ct.with_array(ct.array > -300), (1, 0, 0), UNSPECIFIED)
    write_label_map([segment], ct.grid, tmp_path / "summary.nii.gz")
    names = (tmp_path / "summary.json").read_text()
    with pytest.raises(UnusableInput, match=r"summary\.json is an input"):
        write(tmp_path, "summary.json", inputs=(tmp_path / "summary.nii.gz",), overwrite=True)
    assert (tmp_path / "summary.json").read_text() == names


def test_an_input_that_an_earlier_run_wrote_stays_where_it_is_not_written_again(an_earlier_run):
    write(an_earlier_run, "summary.json", inputs=(an_earlier_run / ".." / "out" / "spread.png",))
    assert contents(an_earlier_run) == {"spread.png": "earlier", "summary.json": "new", "notes.txt": "the user's"}
    write(an_earlier_run, "summary.json")
    assert "spread.png" not in contents(an_earlier_run), "it is still known as ours"


def test_slices_in_an_input_folder_are_inputs(tmp_path):
    (tmp_path / "lesions.csv").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(UnusableInput, match=r"lesions\.csv is an input"):
        write(tmp_path, "lesions.csv", inputs=(tmp_path,), overwrite=True)


@pytest.mark.parametrize("name", [".unfinished-thesis", "new-results-thesis", ".unfinished-12345678"])
def test_folders_of_the_user_with_names_like_ours_stay(an_earlier_run, name):
    own = an_earlier_run / name
    (own / "old").mkdir(parents=True)
    (own / "old" / "chapter.txt").write_text("the user's")
    (own / ".exchange.json").write_text('{"gives_way": {"notes.txt": "0"}}')
    write(an_earlier_run, "lesions.csv", "summary.json")
    assert (own / "old" / "chapter.txt").read_text() == "the user's"
    assert (an_earlier_run / "notes.txt").read_text() == "the user's"


# What is checked before the work begins


def a_file(path: Path) -> Path:
    path.write_text("a file")
    return path


def below_a_file(path: Path) -> Path:
    return a_file(path) / "deeper" / "still"


def a_dangling_link(path: Path) -> Path:
    path.symlink_to(path.with_name("nowhere"))
    return path


def below_a_dangling_link(path: Path) -> Path:
    return a_dangling_link(path) / "deeper"


def holds_a_folder(path: Path) -> Path:
    (path / "lesions.csv").mkdir(parents=True)
    return path


def holds_a_pipe(path: Path) -> Path:
    path.mkdir()
    os.mkfifo(path / "lesions.csv")
    return path


def holds_a_dangling_link(path: Path) -> Path:
    path.mkdir()
    (path / "lesions.csv").symlink_to("nowhere")
    return path


def is_read_only(path: Path) -> Path:
    path.mkdir(mode=0o500)
    return path


UNUSABLE = [
    a_file,
    below_a_file,
    a_dangling_link,
    below_a_dangling_link,
    holds_a_folder,
    holds_a_dangling_link,
    pytest.param(holds_a_pipe, marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")),
    pytest.param(
        is_read_only,
        marks=pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"),
    ),
]


@pytest.mark.parametrize("make", UNUSABLE)
def test_an_output_that_cannot_be_used_is_refused_before_the_work(tmp_path, make):
    output = make(tmp_path / "out")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(UnusableInput, match=r"out.*; .*(choose another|move it)"):
        check_output(Output(output, GROUP), {"lesions.csv"})
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_patterns_stand_for_names_that_are_not_known_yet(an_earlier_run):
    (an_earlier_run / "Heart.vtp").write_text("the user's")
    check_output(Output(an_earlier_run, GROUP), {"lesions.csv"})
    with pytest.raises(UnusableInput, match=r"Heart\.vtp"):
        check_output(Output(an_earlier_run, GROUP), {"lesions.csv", "*.vtp"})


def test_a_folder_that_is_not_there_yet_is_fine_and_stays_so(tmp_path):
    check_output_folder(tmp_path)
    check_output(Output(tmp_path / "new" / "folder", GROUP), {"lesions.csv"})
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(UnusableInput, match=r"The output folder .* cannot be written \(.*too long\)") as refusal:
        check_output_folder(tmp_path / ("n" * 300) / "out")
    assert len(str(refusal.value)) < 400


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the current folder of a process")
def test_a_deleted_current_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UnusableInput, match="the current folder was deleted"):
        check_output_folder("out")


def test_a_disk_without_room_is_noticed(tmp_path):
    check_room(tmp_path / "new" / "folder", 1)
    with pytest.raises(MachineLimit, match="MB of free space"):
        check_room(tmp_path / "new" / "folder", 2**62)


def test_more_room_is_asked_for_than_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**30, free=300_000))
    with pytest.raises(MachineLimit, match="has 0 MB of free space, but the results need at least 1 MB"):
        check_room(tmp_path, 400_000)


# Failures


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_block_leaves_the_folder_as_it_was(an_earlier_run, failure):
    before = state(an_earlier_run)
    with pytest.raises(failure):
        write(an_earlier_run, "lesions.csv", failure=failure())
    assert state(an_earlier_run) == before
    assert not any(path.is_dir() for path in an_earlier_run.iterdir())


def test_a_failed_block_makes_no_folder(tmp_path):
    with pytest.raises(RuntimeError, match="stop"):
        write(tmp_path / "a" / "b", "lesions.csv", failure=RuntimeError("stop"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "failure", [PermissionError(errno.EACCES, "Permission denied", "summary.json"), KeyboardInterrupt()]
)
def test_an_exchange_that_fails_halfway_is_undone(an_earlier_run, monkeypatch, failure):
    replace = os.replace
    before = state(an_earlier_run)

    def stopped(source, target):
        if Path(target) == an_earlier_run / "summary.json" and failure not in raised:  # as when a program holds it
            raised.append(failure)
            raise failure
        return replace(source, target)

    raised: list[BaseException] = []
    monkeypatch.setattr(os, "replace", stopped)
    expected = MachineLimit if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write(an_earlier_run, "lesions.csv", "probability.nrrd", "summary.json")
    assert raised
    assert state(an_earlier_run) == before
    assert not any(path.is_dir() for path in an_earlier_run.iterdir())


def test_a_full_disk_is_said_in_one_sentence(tmp_path):
    sentence = "could not be written .No space left on device.; close it in other programs, free some disk space"
    with pytest.raises(MachineLimit, match=sentence):
        write(tmp_path / "out", "lesions.csv", failure=OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_the_message_names_the_file_where_the_user_looks_for_it(tmp_path):
    def fail():
        with complete_or_nothing(Output(tmp_path / "out", GROUP)) as private:
            raise MachineLimit(f"{private / 'probability.nrrd'} could not be written.")

    with pytest.raises(
        MachineLimit, match=re.escape(f"{tmp_path / 'out' / 'probability.nrrd'} could not be written.") + "$"
    ):
        fail()


def test_a_failing_run_leaves_another_runs_files_alone(tmp_path):
    folder = tmp_path / "out"

    def fail_after_another_run():
        with complete_or_nothing(Output(folder, GROUP)) as ours:
            (ours / "lesions.csv").write_text("ours")
            write(folder, "summary.json")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_after_another_run()
    assert contents(folder) == {"summary.json": "new"}


# Kills

OLD = {"lesions.csv": "old", "spread.png": "old", "summary.json": "old"}


def read_set(folder: Path) -> dict[str, str]:
    """What a reader finds: nothing without a summary."""

    def read() -> dict[str, str]:
        names = files_of_group(folder, GROUP)
        return {name: (folder / name).read_text() for name in names} if "summary.json" in names else {}

    return read_consistently(folder, read)


@pytest.fixture(scope="module")
def ending_at():
    with small_process() as ask:
        yield ask


@pytest.fixture
def killed_at(ending_at):
    """``killed_at(step, work, folder, ...)``: whether the work reached the step, at which it ended without cleanup."""
    return lambda step, work, *arguments: ending_at(step, work, *arguments, fault=die) == KILLED


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_dir() or path.name.startswith(".unfinished")]


NEW_SETS = {
    "the same files": dict.fromkeys(OLD, "new"),
    "fewer files": {"summary.json": "new", "lesions.csv": "new"},
    "more files": dict.fromkeys([*OLD, "report.html", "Tumor_1.vtp"], "new"),
    "other files": {"summary.json": "new", "a.nrrd": "new", "z.nrrd": "new"},
}
QUICK_SETS = {
    ("no folder", "the same files"),
    ("an empty folder", "fewer files"),
    ("the user's files", "more files"),
    ("an old result", "other files"),
    ("an old result", "more files"),
}
BEFORE_AND_NEW = [
    pytest.param(before, files, id=f"{before}-{new}", marks=() if (before, new) in QUICK_SETS else pytest.mark.slow)
    for before in ("no folder", "an empty folder", "the user's files", "an old result")
    for new, files in NEW_SETS.items()
]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child must be killed at an exact step")
@pytest.mark.parametrize(("before", "new"), BEFORE_AND_NEW)
def test_killed_at_whatever_step_a_set_is_old_or_new_and_complete(tmp_path, killed_at, before, new):
    """After each kill a reader finds one whole set, and so does one after a next run that writes, which leaves
    nothing behind."""
    step = 0
    while True:
        step += 1
        parent = tmp_path / str(step)
        parent.mkdir()
        folder = parent / "out"
        if before != "no folder":
            folder.mkdir()
        if before == "the user's files":
            (folder / "notes.txt").write_text("the user's")
        if before == "an old result":
            write_set(folder, OLD)
        old = read_set(folder)
        if not killed_at(step, write_set, folder, new):
            break
        seen = (
            {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".txt" and path.is_file()}
            if folder.exists()
            else {}
        )
        seen.pop(MARK_FILE, None)
        assert seen in (old, new) or "summary.json" not in seen, "other programs do not take a part for the whole"
        assert read_set(folder) in (old, new)
        write_set(folder, {"summary.json": "next"})
        assert read_set(folder) == {"summary.json": "next"}
        assert leftovers(parent) == ["out"]
        assert (folder / "notes.txt").exists() == (before == "the user's files")
    assert read_set(folder) == new
    assert step > (5 if before == "no folder" else 10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child must be struck at an exact step")
@pytest.mark.parametrize("before", [pytest.param("no folder", marks=pytest.mark.slow), "an old result"])
@pytest.mark.parametrize(
    ("fault", "late"),
    [
        pytest.param(die, True, id="killed"),
        pytest.param(interrupt, False, id="interrupted"),
        pytest.param(interrupt, True, id="interrupted after the call", marks=pytest.mark.slow),
        pytest.param(fail, False, id="an error of the disk"),
    ],
)
def test_whatever_strikes_at_whatever_call_a_set_is_old_or_new_and_complete(tmp_path, ending_at, before, fault, late):
    """After any fault a reader finds one whole set, the one that the run announced; the next run leaves nothing
    behind."""
    new, step = NEW_SETS["other files"], 0
    while True:
        step += 1
        parent = tmp_path / str(step)
        parent.mkdir()
        folder, old = parent / "out", OLD if before == "an old result" else {}
        if old:
            write_set(folder, old)
        code = ending_at(step, write_set, folder, new, fault=fault, late=late, calls=(*CALLS, *READING_CALLS))
        found = read_set(folder) if folder.exists() else {}
        if code == NOT_REACHED:
            break
        assert found == new if code == 0 else found in (old, new)
        write_set(folder, {"summary.json": "next"})
        assert read_set(folder) == {"summary.json": "next"}
        assert leftovers(parent) == ["out"]
        assert {path.name for path in folder.iterdir()} == {"summary.json", MARK_FILE}
    assert found == new
    assert step > 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child must be killed at an exact step")
def test_killed_while_it_completes_what_a_killed_run_left_a_set_is_still_complete(tmp_path, killed_at, half_way):
    step = 0
    while True:
        step += 1
        folder, new = half_way(tmp_path / str(step))
        if not killed_at(step, settle, folder):
            break
        assert read_set(folder) == new
        write_set(folder, {"summary.json": "next"})
        assert leftovers(folder) == []
    assert step > 5


@pytest.fixture
def half_way(killed_at):
    """Make a folder as a run leaves it that was killed after some of its files had moved."""
    steps = [1]

    def make(parent: Path) -> tuple[Path, dict[str, str]]:
        parent.mkdir()
        folder, new = parent / "out", NEW_SETS["more files"]
        write_set(folder, OLD)
        while True:
            assert killed_at(steps[-1], write_set, folder, new)
            if list(folder.glob("new-results-*")) and not (folder / "lesions.csv").exists():
                return folder, new
            write_set(folder, OLD)
            steps.append(steps[-1] + 1)

    return make


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child must be killed at an exact step")
def test_what_the_user_put_there_since_the_kill_is_refused_and_stays(tmp_path, half_way):
    folder, new = half_way(tmp_path / "x")
    (folder / "lesions.csv").write_text("the user's")
    with pytest.raises(UnusableInput, match=r"lesions\.csv was changed after that; move"):
        read_set(folder)
    with pytest.raises(UnusableInput, match=r"lesions\.csv was changed after that; move"):
        write(folder, "summary.json", text="next", overwrite=True)
    assert (folder / "lesions.csv").read_text() == "the user's"
    (folder / "lesions.csv").unlink()
    assert read_set(folder) == new


@pytest.mark.skipif(
    not hasattr(os, "fork") or os.geteuid() == 0,
    reason="a child must be killed at an exact step; root may write anywhere",
)
def test_a_half_moved_set_in_a_folder_that_cannot_be_written_is_not_there(tmp_path, half_way):
    folder, _ = half_way(tmp_path / "x")
    folder.chmod(0o500)
    try:
        with pytest.raises(UnusableInput, match="incomplete results"):
            read_set(folder)
    finally:
        folder.chmod(0o700)


# Several runs at once

RIVAL = """
import os, sys, time
from pathlib import Path
from LungTumorSegLib.results.replaceable_files import Output
from LungTumorSegLib.results.folder import complete_or_nothing
replace = os.replace
def slowly(source, target):
    time.sleep(0.002)
    return replace(source, target)
os.replace = slowly
folder, name = Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
for _ in range(8):
    with complete_or_nothing(Output(folder, "result")) as private:
        for file in [f"{kind}-{name}.txt" for kind in "abc"] + ["shared.txt", "summary.json"]:
            (private / file).write_text(name)
"""


def test_runs_that_end_in_the_same_moment_never_mix_their_files_for_any_reader(tmp_path):
    folder = tmp_path / "out"
    rivals = [
        subprocess.Popen([sys.executable, "-c", RIVAL, str(folder), name], stdin=subprocess.PIPE)
        for name in ("one", "two", "three")
    ]
    for rival in rivals:
        rival.stdin.close()  # now
    seen = set()
    while any(rival.poll() is None for rival in rivals):
        found = read_set(folder)
        assert len(set(found.values())) <= 1, "all of one run"
        assert len(found) in (0, 5)
        seen |= set(found.values())
    assert [rival.wait() for rival in rivals] == [0, 0, 0]
    assert len(set(read_set(folder).values())) == 1
    assert {path.name for path in folder.iterdir()} == {*read_set(folder), MARK_FILE}
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert seen


@pytest.mark.parametrize("begins", ["while reading", "before reading"])
def test_a_run_that_ends_right_after_the_mark_was_read_is_noticed(tmp_path, monkeypatch, begins):
    write(tmp_path, "summary.json")
    moving, looks, reads, real = [], [], [], folder_module.read_mark

    def mark(folder):
        found = real(folder)
        looks.append(1)
        if moving:
            moving.clear()  # the run has ended
        elif len(looks) == 1 and begins == "before reading":
            moving.append(1)
        return found

    def read():
        reads.append(1)
        if begins == "while reading" and len(reads) == 1:
            moving.append(1)
        return "mixed" if moving else "of one run"

    monkeypatch.setattr(folder_module, "committed_in", lambda folder: {folder: {}} if moving else {})
    monkeypatch.setattr(folder_module, "complete_moves", lambda folder: moving.clear())
    monkeypatch.setattr(folder_module, "read_mark", mark)
    assert read_consistently(tmp_path, read) == "of one run"


def test_a_reader_that_is_never_left_alone_gives_up(tmp_path, monkeypatch):
    runs = map(str, range(1000))
    monkeypatch.setattr(folder_module, "read_mark", lambda folder: Mark(next(runs)))
    with pytest.raises(MachineLimit, match="are still writing"):
        read_consistently(tmp_path, lambda: None)
