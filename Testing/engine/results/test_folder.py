"""All files of a run take their place together; on any failure the folder is as it was."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.core.private_folder import STALE_SECONDS
from LungTumorSegLib.results.folder import complete_or_nothing, files_of_earlier_run


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path, *names: str, failure: BaseException | None = None, obsolete=()) -> None:
    with complete_or_nothing(folder, obsolete=lambda: obsolete) as private:
        for name in names:
            (private / name).write_text("new")
        if failure is not None:
            raise failure


@pytest.fixture
def an_earlier_run(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("lesions.csv", "spread.png", "notes.txt"):
        (folder / name).write_text("earlier")
    return folder


def test_files_appear_only_when_the_block_ends(tmp_path):
    folder = tmp_path / "Ärzte 肺" / "out"
    with complete_or_nothing(folder) as private:
        (private / "lesions.csv").write_text("new")
        assert not (folder / "lesions.csv").exists()
    assert contents(tmp_path) == {"Ärzte 肺/out/lesions.csv": "new"}
    assert [path.name for path in folder.iterdir()] == ["lesions.csv"], "no empty private folder is left"


def test_files_of_the_same_name_and_obsolete_ones_give_way_and_others_stay(an_earlier_run):
    write(an_earlier_run, "lesions.csv", obsolete={"spread.png", "never written"})
    assert contents(an_earlier_run) == {"lesions.csv": "new", "notes.txt": "earlier"}


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_block_leaves_the_folder_as_it_was(an_earlier_run, failure):
    before = contents(an_earlier_run)
    with pytest.raises(failure):
        write(an_earlier_run, "lesions.csv", obsolete={"spread.png"}, failure=failure())
    assert contents(an_earlier_run) == before


def test_a_failed_block_removes_all_folders_that_it_made(tmp_path):
    with pytest.raises(RuntimeError, match="stop"):
        write(tmp_path / "a" / "b", "lesions.csv", failure=RuntimeError("stop"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "failure", [PermissionError(errno.EACCES, "Permission denied", "summary.json"), KeyboardInterrupt()]
)
def test_an_exchange_that_fails_halfway_is_undone(an_earlier_run, monkeypatch, failure):
    replace = Path.replace
    before = contents(an_earlier_run)

    def stopped(source, target):
        if source.name == "summary.json" and source.parent.name == "new":  # the last file, as when a program holds it
            raise failure
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", stopped)
    expected = MachineLimit if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write(an_earlier_run, "lesions.csv", "probability.nrrd", "summary.json", obsolete={"spread.png"})
    assert contents(an_earlier_run) == before


def test_a_full_disk_is_said_in_one_sentence(tmp_path):
    sentence = "could not be written .No space left on device.; close it in other programs, free some disk space"
    with pytest.raises(MachineLimit, match=sentence):
        write(tmp_path / "out", "lesions.csv", failure=OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_the_message_names_the_file_where_the_user_looks_for_it(tmp_path):
    def fail():
        with complete_or_nothing(tmp_path / "out") as private:
            raise MachineLimit(f"{private / 'probability.nrrd'} could not be written.")

    with pytest.raises(
        MachineLimit, match=re.escape(f"{tmp_path / 'out' / 'probability.nrrd'} could not be written.") + "$"
    ):
        fail()


def test_a_failing_run_leaves_another_runs_files_alone(tmp_path):
    folder = tmp_path / "out"

    def fail_after_another_run():
        with complete_or_nothing(folder) as ours:
            (ours / "lesions.csv").write_text("ours")
            write(folder, "summary.json")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_after_another_run()
    assert contents(folder) == {"summary.json": "new"}


KILLED = """
import os, signal, sys
from pathlib import Path
from LungTumorSegLib.result_folder import complete_or_nothing
replace, moves = Path.replace, []
def killed(source, target):
    moves.append(source)
    if len(moves) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(source, target)
Path.replace = killed
with complete_or_nothing(Path(sys.argv[1])) as private:
    for name in ("lesions.csv", "spread.png", "summary.json"):
        (private / name).write_text("half")
    if sys.argv[2] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("move", [0, 1, 2, 3, 4, 5])
def test_what_a_killed_run_left_is_cleared_up_by_the_next(an_earlier_run, move):
    """Killed while it wrote (0), while two old files gave way (1, 2) or while three new ones took their place (3, 4, 5)."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(an_earlier_run), str(move)])
    assert done.returncode == -signal.SIGKILL
    (left,) = an_earlier_run.glob(".unfinished-*")
    past = left.stat().st_mtime - STALE_SECONDS - 1
    os.utime(left, (past, past))
    with pytest.raises(RuntimeError, match="stop"):  # the earlier run's files are back even if the next run fails
        write(an_earlier_run, "lesions.csv", failure=RuntimeError("stop"))
    assert contents(an_earlier_run) == dict.fromkeys(("lesions.csv", "spread.png", "notes.txt"), "earlier")
    assert not list(an_earlier_run.glob(".unfinished-*"))


RIVAL = """
import json, sys, time
from pathlib import Path
from LungTumorSegLib.result_folder import complete_or_nothing, files_of_earlier_run
replace = Path.replace
def slowly(source, target):
    time.sleep(0.002)
    return replace(source, target)
Path.replace = slowly
folder, name = Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
for _ in range(8):
    with complete_or_nothing(folder, obsolete=lambda: files_of_earlier_run(folder / "summary.json")) as private:
        files = [f"{kind}-{name}.txt" for kind in "abc"] + ["shared.txt", "summary.json"]
        for file in files[:-1]:
            (private / file).write_text(name)
        (private / "summary.json").write_text(json.dumps({"files": files, "run": name}))
"""


def test_runs_that_end_in_the_same_moment_never_mix_their_files(tmp_path):
    rivals = [
        subprocess.Popen([sys.executable, "-c", RIVAL, str(tmp_path), name], stdin=subprocess.PIPE)
        for name in ("one", "two", "three")
    ]
    for rival in rivals:
        rival.stdin.close()  # now
    assert [rival.wait() for rival in rivals] == [0, 0, 0]
    last = json.loads((tmp_path / "summary.json").read_text())
    assert {path.name for path in tmp_path.iterdir()} == set(last["files"])
    assert (tmp_path / "shared.txt").read_text() == last["run"]


def test_an_earlier_run_names_its_files_but_none_elsewhere_and_not_the_next_runs_input(an_earlier_run):
    record = an_earlier_run / "summary.json"
    (an_earlier_run.parent / "outside.txt").write_text("not of a run")
    record.write_text(json.dumps({"files": ["lesions.csv", "spread.png", "gone.nrrd", "../outside.txt", ".."]}))
    assert files_of_earlier_run(record) == {"lesions.csv", "spread.png"}
    assert files_of_earlier_run(record, keep=an_earlier_run / ".." / "out" / "spread.png") == {"lesions.csv"}


@pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}", '{"files": 3}', '{"files": [1]}'])
def test_where_no_run_of_ours_was_nothing_is_obsolete(tmp_path, content):
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    assert files_of_earlier_run(tmp_path / "summary.json") == set()
