"""A cohort is segmented once, completely, whatever happens to single CTs or to the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import quick_engine
from cohorts import Heard, a_cohort, batch, rows, starts
from LungTumorSegLib.cohort.batch import Batch, run_batch
from LungTumorSegLib.cohort.earlier_rows import FROM_EARLIER
from LungTumorSegLib.cohort.input_checksum import input_checksum
from LungTumorSegLib.cohort.items import Item
from LungTumorSegLib.cohort.output_tables import CHANGED_SINCE, COHORT_COLUMNS, Row, with_repeats_noted, write_tables
from LungTumorSegLib.cohort.overview import write_overview
from LungTumorSegLib.cohort.records import Record, read_record
from LungTumorSegLib.cohort.run_item import Task
from LungTumorSegLib.commands.parser import build_parser
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.process.progress import STAGE_SHARES
from LungTumorSegLib.results.folder import complete_or_nothing
from LungTumorSegLib.results.replaceable_files import Output


@pytest.fixture
def quick(monkeypatch):
    """Let every task run the stand-in for the engine."""
    command = property(
        lambda task: [sys.executable, quick_engine.__file__, str(task.item.path), str(task.result)],
    )
    monkeypatch.setattr(Task, "command", command)


def test_bad_cts_get_a_row_with_the_reason_and_stop_nothing(quick, tmp_path):
    table = a_cohort(tmp_path, A="good", B="damaged", C="good")
    with table.open("a", encoding="utf-8") as file:
        file.write("\nD,missing.txt")
    heard = Heard()
    run_batch(batch(table), heard)
    assert [(row["case"], row["state"]) for row in rows(tmp_path)] == [
        ("A", "done"), ("B", "refused"), ("C", "done"), ("D", "refused"),
    ]  # fmt: skip
    assert [row["reason"].partition("; ")[0] for row in rows(tmp_path)] == [
        "", f"{tmp_path / 'B.txt'} is damaged", "", f"{tmp_path / 'missing.txt'} does not exist",
    ]  # fmt: skip
    assert list(rows(tmp_path)[0]) == list(COHORT_COLUMNS)
    assert (rows(tmp_path)[0]["lesions"], rows(tmp_path)[0]["total_volume_ml"]) == ("1", "2.5")
    assert [(row["case"], row["segment"]) for row in rows(tmp_path, "lesions.csv")] == [
        ("A", "Tumor 1"),
        ("C", "Tumor 1"),
    ]
    page = (tmp_path / "out" / "overview.html").read_text(encoding="utf-8")
    assert 'href="A/report.html"' in page
    assert "B.txt is damaged" in page
    assert any("B: refused" in text for text in heard.items)
    assert [(event["case"], event["state"]) for event in heard.events[:4]] == [(case, "waiting") for case in "ABCD"]
    assert {event["case"]: event["state"] for event in heard.events[4:]}["B"] == "refused"
    assert heard.events[0]["path"] == str(tmp_path / "A.txt")
    assert heard.results[0][0]["states"] == {"done": 2, "refused": 2}


def test_progress_is_that_of_all_cts_that_need_work(quick, tmp_path):
    run_batch(batch(a_cohort(tmp_path, A="good")), Heard())
    before = sum(STAGE_SHARES[stage] for stage in ("reading", "model", "isolation"))
    half = int(200 * (before + STAGE_SHARES["predicting"] / 2))  # of the two CTs that report as much

    class HalfWay(Heard):
        def progress(self, progress):
            super().progress(progress)
            if progress.done == half:
                (tmp_path / "go").touch()

    heard = HalfWay()
    run_batch(batch(a_cohort(tmp_path, A="good", B="half", C="half")), heard)
    done = [done for done, _ in heard.steps]
    assert half in done
    assert done == sorted(done)
    assert heard.steps[-1] == (200, 200), "the first CT needs no work"


def test_a_ct_that_is_a_copy_of_another_is_noted(tmp_path):
    sums = [("P1", "a"), ("P2", "b"), ("P3", "a"), ("P4", None), ("P5", None)]
    made = [
        Row(Item(case, tmp_path / case, note="a note"), Record("done"), {"lesions": [], "ct_sha256": checksum})
        for case, checksum in sums
    ]
    notes = [row.item.note for row in with_repeats_noted(made)]
    assert notes == ["a note", "a note", "a note. the same voxels as P1", "a note", "a note"]


def test_tables_and_overview_show_names_that_are_not_utf_8(tmp_path):
    name = os.fsdecode(b"M\xfcller")
    row = Row(Item("M-ller", Path("/data") / name / "ct.nii.gz", patient=name), Record("refused", reason=f"{name}."))
    write_tables([row], tmp_path)
    write_overview([row], tmp_path, tmp_path / "overview.html")
    for file in ("cohort.csv", "overview.html"):
        assert r"M\udcfcller" in (tmp_path / file).read_text(encoding="utf-8")


def test_a_second_run_computes_only_what_changed(quick, tmp_path):
    table = a_cohort(tmp_path, A="good", B="damaged", C="good")
    run_batch(batch(table), Heard())
    first = (tmp_path / "out" / "cohort.csv").read_bytes()
    run_batch(batch(table), Heard())
    assert starts(tmp_path) == ["A.txt", "B.txt", "C.txt"]
    assert (tmp_path / "out" / "cohort.csv").read_bytes() == first
    (tmp_path / "C.txt").write_text("good but other", encoding="utf-8")
    run_batch(batch(table), Heard())
    assert starts(tmp_path) == ["A.txt", "B.txt", "C.txt", "C.txt"]
    run_batch(batch(table, ["--margins=5"]), Heard())
    assert starts(tmp_path) == sorted(["A.txt", "B.txt", "C.txt"] * 2 + ["C.txt"])


def in_other_folder(folder: Path, name: str, **words: str) -> Batch:
    """Return a batch of the CTs in a folder of its own, into the output folder of ``batch``."""
    (folder / name).mkdir(exist_ok=True)
    table = a_cohort(folder / name, **words)
    return replace(batch(table), output=folder / "out")


def test_cts_of_an_earlier_batch_stay_in_the_tables_of_the_folder(quick, tmp_path):
    run_batch(in_other_folder(tmp_path, "first", A="good", B="damaged"), Heard())
    heard = Heard()
    run_batch(in_other_folder(tmp_path, "second", C="good"), heard)
    assert [(row["case"], row["state"], row["note"]) for row in rows(tmp_path)] == [
        ("C", "done", ""), ("A", "done", FROM_EARLIER), ("B", "refused", FROM_EARLIER),
    ]  # fmt: skip
    assert [row["case"] for row in rows(tmp_path, "lesions.csv")] == ["C", "A"]
    assert rows(tmp_path)[1]["input_sha256"], "what the first batch knew is kept"
    (data, text), = heard.results  # fmt: skip
    assert data["states"] == {"done": 1}
    assert "the tables also list CTs of earlier batches into the same folder (A, B)" in text
    run_batch(in_other_folder(tmp_path, "first", A="good", B="damaged"), Heard())
    assert [(row["case"], row["note"]) for row in rows(tmp_path)] == [("A", ""), ("B", ""), ("C", FROM_EARLIER)]
    (tmp_path / "out" / "cohort.csv").unlink()
    run_batch(in_other_folder(tmp_path, "first", A="good", B="damaged"), Heard())
    assert [row["case"] for row in rows(tmp_path)] == ["A", "B"]


def test_a_ct_that_gets_another_case_is_in_the_tables_once(quick, tmp_path):
    table = a_cohort(tmp_path, A="good")
    run_batch(batch(table), Heard())
    table.write_text("patient,path\nAnna,A.txt", encoding="utf-8")
    run_batch(batch(table), Heard())
    assert [row["case"] for row in rows(tmp_path)] == ["Anna"]


def test_the_result_of_another_ct_with_the_same_name_is_never_replaced_unasked(quick, tmp_path):
    run_batch(in_other_folder(tmp_path, "first", A="good", B="good"), Heard())
    before = (tmp_path / "out" / "A" / ".lungtumorseg.json").read_bytes()
    second = in_other_folder(tmp_path, "second", A="good other")
    with pytest.raises(UnusableInput, match=r"out/A contains the result of another CT \(.*first/A\.txt\); give one"):
        run_batch(second, Heard())
    assert (tmp_path / "out" / "A" / ".lungtumorseg.json").read_bytes() == before
    assert [(row["case"], row["state"], Path(row["path"]).parent.name) for row in rows(tmp_path)] == [
        ("A", "refused", "second"), ("A", "done", "first"), ("B", "done", "first"),
    ]  # fmt: skip
    run_batch(replace(second, overwrite=True), Heard())
    assert [(row["case"], row["state"]) for row in rows(tmp_path)] == [("A", "done"), ("B", "done")]


def test_a_cohort_that_was_moved_needs_no_work(quick, tmp_path):
    run_batch(in_other_folder(tmp_path, "first", A="good"), Heard())
    (tmp_path / "first").rename(tmp_path / "moved")
    moved = in_other_folder(tmp_path, "moved", A="good")
    run_batch(moved, Heard())
    assert starts(tmp_path / "moved") == ["A.txt"]
    (tmp_path / "moved" / "A.txt").write_text("good but other", encoding="utf-8")
    run_batch(moved, Heard())
    assert rows(tmp_path)[0]["state"] == "done", "a CT whose content changed is known by its path"


def test_a_changed_slice_in_a_linked_folder_makes_another_input(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "1.dcm").write_bytes(b"first")
    (tmp_path / "patient").mkdir()
    (tmp_path / "patient" / "series").symlink_to(tmp_path / "store")
    item = Item("patient", tmp_path / "patient")
    before = input_checksum(item, lambda: False)
    (tmp_path / "store" / "1.dcm").write_bytes(b"second")
    assert input_checksum(item, lambda: False) != before


def test_results_in_a_subfolder_of_a_ct_do_not_change_the_ct(tmp_path):
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "1.dcm").write_bytes(b"slice")
    item = Item("P1", tmp_path / "ct")
    before = input_checksum(item, lambda: False)
    task = Task(item, tmp_path / "ct" / "out")
    task.records.mkdir(parents=True)
    Record("started").write(task.records)
    for folder in (task.result, task.output):
        with complete_or_nothing(Output(folder, "result")) as private:
            (private / "segmentation.dcm").write_bytes(b"result")
    assert input_checksum(item, lambda: False) == before
    (tmp_path / "ct" / "out" / "2.dcm").write_bytes(b"slice")
    assert input_checksum(item, lambda: False) != before


def test_a_result_that_was_deleted_is_computed_again(quick, tmp_path):
    table = a_cohort(tmp_path, A="good")
    run_batch(batch(table), Heard())
    (tmp_path / "out" / "A" / "summary.json").unlink()
    run_batch(batch(table), Heard())
    assert starts(tmp_path) == ["A.txt", "A.txt"]
    assert rows(tmp_path)[0]["state"] == "done"


def test_a_summary_that_was_edited_by_hand_does_not_cost_the_tables_of_a_batch(quick, tmp_path):
    table = a_cohort(tmp_path, A="good", B="good")
    run_batch(batch(table), Heard())
    summary = tmp_path / "out" / "A" / "summary.json"
    summary.write_text(json.dumps({"lesions": [{"segment": "Tumor 1"}]}), encoding="utf-8")
    run_batch(batch(table), Heard())
    assert [(row["state"], row["largest_long_axis_mm"]) for row in rows(tmp_path)] == [("done", ""), ("done", "17.0")]


def test_a_segmentation_that_was_corrected_in_place_is_noted_until_it_is_measured(quick, tmp_path):
    table, result = a_cohort(tmp_path, A="good", B="good"), tmp_path / "out" / "A"
    run_batch(batch(table), Heard())
    summary = (result / "summary.json").stat().st_mtime_ns

    def notes(saved_ns: int, where: Batch) -> list[str]:
        os.utime(result / "segmentation.seg.nrrd", ns=(saved_ns, saved_ns))
        run_batch(where, Heard())
        return [row["note"] for row in rows(tmp_path)]

    assert notes(summary + 10**9, batch(table)) == ["", ""], "the file has another time, but the same content"
    (result / "segmentation.seg.nrrd").write_bytes(b"corrected")
    assert notes(summary + 10**9, batch(table)) == [CHANGED_SINCE, ""]
    other = in_other_folder(tmp_path, "second", C="good")
    assert notes(summary + 10**9, other) == ["", f"{FROM_EARLIER}. {CHANGED_SINCE}", FROM_EARLIER]
    assert notes(summary - 10**9, other) == ["", FROM_EARLIER, FROM_EARLIER], "the summary is newer"


def test_a_crash_is_a_failure_of_the_machine_that_a_second_run_tries_again(quick, tmp_path):
    table = a_cohort(tmp_path, A="crash", B="good")
    with pytest.raises(MachineLimit, match=r"1 of 2 CTs failed, the first one \(A\) because: .*broken"):
        run_batch(batch(table), Heard())
    assert [row["state"] for row in rows(tmp_path)] == ["failed", "done"]
    with pytest.raises(MachineLimit):
        run_batch(batch(table), Heard())
    assert starts(tmp_path) == ["A.txt", "A.txt", "B.txt"]


def test_a_cohort_without_any_usable_ct_is_an_error(quick, tmp_path):
    with pytest.raises(UnusableInput, match=r"The only CT could not be segmented \("):
        run_batch(batch(a_cohort(tmp_path, A="damaged")), Heard())
    assert rows(tmp_path)[0]["state"] == "refused"


def test_a_cancelled_batch_keeps_what_is_done_and_goes_on_later(quick, tmp_path):
    table = a_cohort(tmp_path, A="good", B="slow", C="good")
    with pytest.raises(Cancelled, match="Finished CTs are kept"):
        run_batch(batch(table, workers=1), Heard(most=1))
    assert not (tmp_path / "out" / "cohort.csv").exists()
    (tmp_path / "go").touch()
    run_batch(batch(table, workers=1), Heard())
    assert [row["state"] for row in rows(tmp_path)] == ["done"] * 3
    assert starts(tmp_path).count("A.txt") == 1


def test_a_result_that_was_complete_before_its_record_is_not_computed_again(quick, tmp_path):
    table = a_cohort(tmp_path, A="good")
    run_batch(batch(table), Heard())
    record = tmp_path / "out" / ".batch" / "A" / "record.json"
    values = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**values, "state": "started", "run": ""}), encoding="utf-8")
    run_batch(batch(table), Heard())
    assert starts(tmp_path) == ["A.txt"]
    assert read_record(record.parent).state == "done"


def test_files_of_the_user_are_never_replaced(quick, tmp_path):
    table = a_cohort(tmp_path, A="good")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cohort.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(UnusableInput, match=r"cohort\.csv in .* would be replaced"):
        run_batch(batch(table), Heard())
    assert starts(tmp_path) == []
    assert (tmp_path / "out" / "cohort.csv").read_text(encoding="utf-8") == "mine"


def test_options_of_segment_are_passed_on_as_they_were_given(tmp_path):
    given = [
        "--stride",
        "3",
        "--thresholds",
        "0.6",
        "0.4",
        "--no-mirror",
        "--margins",
        "5",
        "8",
        "--no-picture",
        "--surfaces",
    ]
    options = build_parser().parse_args(["batch", str(tmp_path), "-o", "out", *given, "--device", "cpu", "--no-report"])
    arguments = Batch.of(options).arguments
    again = build_parser().parse_args(["segment", "ct.nii", "-o", "out", *arguments])
    for name in ("stride", "thresholds", "mirror", "margins", "no_picture", "surfaces", "device", "report"):
        assert getattr(again, name) == getattr(options, name), name


KILLABLE = """
import sys
sys.path.insert(0, {helpers!r})
import quick_engine
from cohorts import Heard, a_cohort, batch, rows, starts
from pathlib import Path
from LungTumorSegLib.cohort.batch import Batch, run_batch
from LungTumorSegLib.cohort.input_checksum import input_checksum
from LungTumorSegLib.cohort.run_item import Task
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.process.channel import TerminalChannel
Task.command = property(lambda task: [sys.executable, quick_engine.__file__, str(task.item.path), str(task.result)])
table = Path({table!r})
run_batch(Batch(table, table.parent / "out", (), SegmentOptions(), workers=2), TerminalChannel(sys.stdout))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Locks cannot be inherited on Windows.")
def test_a_killed_batch_goes_on_without_computing_anything_twice(tmp_path):
    table = a_cohort(tmp_path, A="good", B="slow", C="slow", D="good", E="damaged")
    script = KILLABLE.format(helpers=str(Path(quick_engine.__file__).parent), table=str(table))
    killed = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while set(starts(tmp_path)) < {"A.txt", "B.txt", "C.txt"}:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (tmp_path / "go").touch()  # the orphans, which still hold their locks, complete their results
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in rows(tmp_path)] == ["done"] * 4 + ["refused"]
    assert starts(tmp_path) == ["A.txt", "B.txt", "C.txt", "D.txt", "E.txt"]
