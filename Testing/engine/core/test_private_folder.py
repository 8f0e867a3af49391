"""Folders that a process holds, and what killed ones have left behind. Real processes hold them, and are really
killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.core.private_folder import (
    HELD_FILE,
    OWNER_FILE,
    OWNER_NOTE,
    hold_folder,
    left_behind,
    private_folder,
    remove_left_behind,
)

HOLDER = """
import sys, time
from pathlib import Path
from LungTumorSegLib.core.private_folder import private_folder
with private_folder(Path(sys.argv[1]), "LungTumorSeg-") as folder:
    (folder / "input.nrrd").write_text("a patient's image")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process with a private folder in tmp_path; its folder and itself."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    yield Path(process.stdout.readline().strip()), process
    process.kill()
    process.communicate()


def test_a_private_folder_is_for_this_user_alone_and_gone_at_the_end(tmp_path):
    with private_folder(tmp_path, "LungTumorSeg-") as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith("LungTumorSeg-")
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "results" / "deep").mkdir(parents=True)
        (folder / "input.nrrd").touch()
    assert list(tmp_path.iterdir()) == []


def left_by_a_killed_process(folder: Path) -> Path:
    folder.mkdir()
    (folder / OWNER_FILE).write_bytes(OWNER_NOTE)
    (folder / "input.nrrd").write_text("a patient's image")
    return folder


def test_a_folder_in_use_is_never_taken_for_left_behind(tmp_path, holder):
    assert holder[0].parent == tmp_path
    assert list(left_behind(tmp_path, "LungTumorSeg-")) == []


def test_what_a_killed_process_left_is_found_at_once(tmp_path, holder):
    folder, process = holder
    process.kill()
    process.wait()
    assert list(left_behind(tmp_path, ".unfinished-")) == []
    assert list(left_behind(tmp_path, "LungTumorSeg-")) == [folder]
    remove_left_behind(tmp_path, "LungTumorSeg-")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_that_clean_up_do_not_meet_in_one_folder(tmp_path):
    folder = left_by_a_killed_process(tmp_path / "LungTumorSeg-old")
    for found in left_behind(tmp_path, "LungTumorSeg-"):
        assert found == folder
        assert list(left_behind(tmp_path, "LungTumorSeg-")) == []


@pytest.mark.parametrize("note", [None, b"", b"the user's", OWNER_NOTE + b"and more"])
def test_a_folder_is_known_by_the_note_inside_and_not_by_its_name(tmp_path, note):
    folder = tmp_path / "LungTumorSeg-thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("the user's")
    if note is not None:
        (folder / OWNER_FILE).write_bytes(note)
    remove_left_behind(tmp_path, "LungTumorSeg-")
    assert (folder / "chapter.txt").exists()


def test_a_link_to_elsewhere_is_left_alone(tmp_path):
    elsewhere = left_by_a_killed_process(tmp_path / "elsewhere")
    (tmp_path / "LungTumorSeg-link").symlink_to(elsewhere, target_is_directory=True)
    remove_left_behind(tmp_path, "LungTumorSeg-")
    assert (elsewhere / "input.nrrd").exists()


def test_a_deletion_that_was_killed_leaves_a_folder_that_is_still_known(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    with private_folder(tmp_path, "LungTumorSeg-") as folder:
        (folder / "input.nrrd").touch()
    assert {path.name for path in folder.iterdir()} - {HELD_FILE} == {OWNER_FILE}
    assert list(left_behind(tmp_path, "LungTumorSeg-")) == [folder]


def test_a_parent_that_is_gone_holds_nothing(tmp_path):
    assert list(left_behind(tmp_path / "gone", "LungTumorSeg-")) == []


def test_who_holds_a_folder_lets_others_wait(tmp_path):
    order = []

    def second():
        with hold_folder(tmp_path):
            order.append("second")

    with hold_folder(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_waiting_tells_of_itself_and_can_be_cancelled(tmp_path):
    def cancel(progress):
        assert progress.stage == "waiting for another run"
        raise Cancelled

    with hold_folder(tmp_path), pytest.raises(Cancelled), hold_folder(tmp_path, cancel):
        pytest.fail("It is held by two.")


def test_waiting_has_an_end(tmp_path):
    with (
        hold_folder(tmp_path),
        pytest.raises(MachineLimit, match="Another run"),
        hold_folder(tmp_path, longest_wait=0.05),
    ):
        pytest.fail("It is held by two.")


@pytest.mark.parametrize("interrupted", ["iterdir", "rmdir"])
def test_a_signal_during_the_deletion_of_a_folder_leaves_nothing(tmp_path, monkeypatch, interrupted):
    owner, name = (Path, "iterdir") if interrupted == "iterdir" else (os, "rmdir")
    original, calls = getattr(owner, name), []

    def once(*given, **more):
        calls.append(given)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return original(*given, **more)

    def work():
        with private_folder(tmp_path, ".unfinished-") as folder:
            (folder / "new").mkdir()
            (folder / "new" / "file").write_text("x")
            monkeypatch.setattr(owner, name, once)

    with pytest.raises(KeyboardInterrupt):
        work()
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
