"""The warm child: a real one on a small phantom, and played ones for every ending."""

from __future__ import annotations

import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.core.mask_json import mask_from_json
from LungTumorSegLib.io.nrrd import write_nrrd
from LungTumorSegLib.process.warm_child import Ask, WarmChild
from simple_chest import ellipsoid, make_chest

PATIENCE_SECONDS = 120.0
LESION = (-70.0, 30.0, 60.0)
ECHO = """
    import json, sys
    print(json.dumps({"event": "progress", "stage": "reading", "done": 1, "total": 1}), flush=True)
    print(json.dumps({"event": "item", "ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if request["place"] == "die":
            print("It broke.", file=sys.stderr)
            sys.exit(3)
        reply = {"event": "item", "id": request["id"]}
        reply |= {"code": 2, "message": "Outside."} if request["place"] == "outside" else {"seen": request["place"]}
        print(json.dumps(reply), flush=True)
"""


def to_the_end(ask: Ask) -> Ask:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ask.finished:
        assert time.monotonic() < deadline, "waited in vain"
        ask.poll()
        time.sleep(0.01)
    return ask


def write_text(path: Path, stop: threading.Event) -> None:
    path.write_text("voxels")


@pytest.fixture
def start(tmp_path):
    """Start a child that runs a script instead of the command line; nothing may be left when the test ends."""
    children = []
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def start_child(script: str = ECHO, write_input=write_text) -> WarmChild:
        (tmp_path / "script.py").write_text(textwrap.dedent(script))
        interpreter = tmp_path / "PythonSlicer"
        interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "script.py"}" "$@"\n')
        interpreter.chmod(0o755)
        children.append(WarmChild(write_input, interpreter=str(interpreter), temporary_folder=str(temporary)))
        return children[-1]

    start_child.folder = temporary
    yield start_child
    for child in children:
        child.close()
    assert list(temporary.iterdir()) == [], "a folder was left behind"


def test_requests_from_before_the_child_is_ready_are_answered_in_order(start):
    child = start()
    asks = [Ask(child, {"place": place}, lambda reply: reply["seen"]) for place in ("a", "b")]
    assert [to_the_end(ask).result for ask in asks] == ["a", "b"]
    assert list(start.folder.iterdir()) == [], "the CT is deleted as soon as it was read"


def test_waiting_until_the_child_is_ready_reports_progress(start):
    seen = []
    ask = to_the_end(Ask(start(), on_progress=lambda progress: seen.append(progress.percent)))
    assert ask.error is None
    assert max(seen, default=0) <= 100


def test_a_request_that_cannot_be_used_fails_alone(start):
    child = start()
    outside = to_the_end(Ask(child, {"place": "outside"}))
    assert isinstance(outside.error, UnusableInput)
    assert str(outside.error) == "Outside."
    assert to_the_end(Ask(child, {"place": "a"}, lambda reply: reply["seen"])).result == "a"


def test_a_child_that_ends_fails_all_requests_with_its_message(start):
    child = start()
    asks = [Ask(child, {"place": "die"}), Ask(child, {"place": "a"})]
    for ask in asks:
        assert isinstance(to_the_end(ask).error, MachineLimit)
        assert str(ask.error) == "It broke."


def test_a_cancelled_request_is_dropped_and_the_child_stays(start):
    child = start()
    to_the_end(Ask(child))
    finished = []
    ask = Ask(child, {"place": "a"}, on_finished=finished.append)
    ask.cancel()
    assert isinstance(to_the_end(ask).error, Cancelled)
    assert finished == [ask]
    assert to_the_end(Ask(child, {"place": "b"}, lambda reply: reply["seen"])).result == "b"


def test_an_idle_child_that_ended_by_itself_is_told_apart_from_a_failure(start):
    child = start("import json\nprint(json.dumps({'event': 'item', 'ready': True}))")
    error = to_the_end(Ask(child, {"place": "a"})).error
    assert str(error) == "The process that outlines lesions has ended; try again."


def test_an_export_that_fails_is_said(start):
    def full_disk(path, stop):
        raise OSError(28, "No space left on device", str(path))

    error = to_the_end(Ask(start(write_input=full_disk), {"place": "a"})).error
    assert isinstance(error, MachineLimit)
    assert "No space left on device" in str(error)


def test_closing_during_the_export_leaves_nothing(start):
    def slow(path, stop):
        assert stop.wait(PATIENCE_SECONDS)
        raise Cancelled

    child = start(write_input=slow)
    ask = Ask(child, {"place": "a"})
    child.close()
    assert isinstance(to_the_end(ask).error, Cancelled)


@pytest.mark.slow
def test_a_real_child_reads_the_ct_once_for_all_clicks_and_ends_with_its_stdin(tmp_path):
    chest = make_chest()
    ct = chest.painted(ellipsoid(LESION, (12, 12, 12)), 40).ct
    interpreter = tmp_path / "PythonSlicer"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    written = []

    def write(path, stop):
        written.append(path)
        write_nrrd(ct, path, stop)

    child = WarmChild(
        write,
        interpreter=str(interpreter),
        temporary_folder=str(tmp_path),
    )
    try:
        place = list(LESION)
        ask = to_the_end(Ask(child, {"place": place, "min_confidence": 0}, dict))
        assert ask.error is None
        first = ask.result
        mask = mask_from_json(first["mask"])
        assert np.linalg.norm(mask.index_to_lps(np.argwhere(mask.array)).mean(axis=0) - place) < 6
        process = child._child
        near = [place[0] + 2, place[1], place[2]]
        second = to_the_end(Ask(child, {"place": near, "min_confidence": 0}, dict)).result
        assert child._child is process
        assert len(written) == 1
        assert second["tumor"] == pytest.approx(first["tumor"], abs=0.2)
        child._child._tell("")  # closes stdin, as the end of Slicer does
        ended = to_the_end(Ask(child, {"place": place}))
        assert isinstance(ended.error, MachineLimit)
        assert child._child.exit_code == 0
    finally:
        child.close()
