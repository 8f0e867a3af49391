"""Folders that a process holds, and what killed ones have left behind. Real processes hold them, and are really killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from LungTumorSegLib.core.private_folder import STALE_SECONDS, held, left_behind, private_folder

HOLDER = """
import sys, time
from pathlib import Path
from LungTumorSegLib.private_folder import private_folder
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


def age(folder: Path) -> None:
    past = folder.stat().st_mtime - STALE_SECONDS - 1
    os.utime(folder, (past, past))


def test_a_private_folder_is_for_this_user_alone_and_gone_at_the_end(tmp_path):
    with private_folder(tmp_path, "LungTumorSeg-") as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith("LungTumorSeg-")
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "results" / "deep").mkdir(parents=True)
        (folder / "input.nrrd").touch()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_never_taken_for_left_behind(tmp_path, holder):
    folder, _ = holder
    age(folder)
    assert list(left_behind(tmp_path, "LungTumorSeg-")) == []


def test_what_a_killed_process_left_is_found_once_it_is_old(tmp_path, holder):
    folder, process = holder
    process.kill()
    process.wait()
    assert list(left_behind(tmp_path, "LungTumorSeg-")) == [], "its owner may be about to hold it"
    age(folder)
    assert list(left_behind(tmp_path, ".unfinished-")) == []
    assert list(left_behind(tmp_path, "LungTumorSeg-")) == [folder]


def test_two_processes_that_clean_up_do_not_meet_in_one_folder(tmp_path):
    folder = tmp_path / "LungTumorSeg-old"
    folder.mkdir()
    age(folder)
    for found in left_behind(tmp_path, "LungTumorSeg-"):
        assert found == folder
        assert list(left_behind(tmp_path, "LungTumorSeg-")) == []


def test_a_link_to_elsewhere_is_left_alone(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    age(elsewhere)
    (tmp_path / "LungTumorSeg-link").symlink_to(elsewhere, target_is_directory=True)
    assert list(left_behind(tmp_path, "LungTumorSeg-")) == []


def test_who_holds_a_folder_lets_others_wait(tmp_path):
    order = []

    def second():
        with held(tmp_path):
            order.append("second")

    with held(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
