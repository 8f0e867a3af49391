"""Imitates ``python -m LungTumorSegLib`` for the module's tests.

The variable FAKE_RUN sets its behavior, and the folder FAKE_RESULTS contains its result. The tests start it some five
hundred times, so it imports little.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

OWN = ("ct.nrrd", "segmentation.seg.nrrd", "summary.json")
"""The files of each result of the scene that is compared."""


def say(**event: object) -> None:
    """Print an event as JSON."""
    print(json.dumps(event), flush=True)  # noqa: T201


def wait_for_cancel(stages: bool = True) -> None:
    """Report progress until the parent cancels, then exit with code 130."""
    import threading

    cancelled = threading.Event()

    def watch() -> None:
        while sys.stdin.readline().strip() not in ("cancel", ""):  # other lines are requests
            pass
        cancelled.set()

    threading.Thread(target=watch, daemon=True).start()
    done = 0
    while not cancelled.wait(0.02):
        if stages:
            done = min(done + 1, 99)
            say(event="progress", stage="predicting", done=done, total=100)
    os._exit(130)


def answer(arguments: list[str]) -> None:
    """Imitate the command ``answer``: the file answer.json is the answer to every request."""
    home, how = Path(os.environ["FAKE_RESULTS"]), os.environ.get("FAKE_RUN", "good")
    with (home / "starts.txt").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    assert Path(arguments[1]).is_file()
    say(event="progress", stage="reading", done=1, total=1)
    if how == "slow":
        wait_for_cancel()
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how.startswith("error:"):
        _, code, message = how.split(":", 2)
        say(event="error", code=int(code), message=message)
        sys.exit(int(code))
    say(event="item", ready=True)
    while line := sys.stdin.readline():
        with (home / "requests.jsonl").open("a") as requests:
            requests.write(line)
        number = json.loads(line)["id"]
        if how == "deaf":
            continue
        say(event="item", **{**json.loads((home / "answer.json").read_text()), "id": number})
    say(event="result")


def segment(arguments: list[str]) -> None:
    """Imitate the command ``segment``."""
    folder = Path(arguments[arguments.index("-o") + 1])
    Path(os.environ["FAKE_RESULTS"], "last_arguments.json").write_text(json.dumps(arguments))
    say(event="progress", stage="reading", done=1, total=1)
    how = os.environ.get("FAKE_RUN", "good")
    if how == "slow":
        wait_for_cancel()
    if how == "deaf":
        say(event="progress", stage="predicting", done=1, total=100)
        time.sleep(600)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "bug":
        raise KeyError("a bug")
    if how.startswith("error:"):
        _, code, message = how.split(":", 2)
        say(event="error", code=int(code), message=message)
        sys.exit(int(code))
    for done in range(1, 5):
        say(event="progress", stage="predicting", done=done, total=4)
        time.sleep(0.005)
    shutil.copytree(Path(os.environ["FAKE_RESULTS"], "results"), folder)
    say(event="result", output=str(folder))


def measure(arguments: list[str]) -> None:
    """Imitate the command ``measure``."""
    Path(os.environ["FAKE_RESULTS"], "last_arguments.json").write_text(json.dumps(arguments))
    if os.environ.get("FAKE_RUN", "good").startswith("error:"):
        sys.exit(os.environ["FAKE_RUN"].split(":", 2)[2])
    assert all(Path(path).exists() for path in (arguments[1], arguments[2], arguments[-1]))
    folder = Path(arguments[arguments.index("-o") + 1])
    folder.mkdir()
    (folder / "lesions.csv").write_text("number")
    if "--no-report" not in arguments:
        (folder / "report.html").write_text("<html>a report</html>")
    if "--pdf" in arguments and os.environ.get("FAKE_RUN") != "unprinted":
        (folder / "report.pdf").write_text("%PDF")
    if "--format=nifti" in arguments:
        (folder / "segmentation.nii.gz").write_text("a label map")
        (folder / "segmentation.json").write_text("{}")
    if "--format=stl" in arguments:
        (folder / "Tumor_1.stl").write_text("a surface")
    if "--format=dicom" in arguments:
        slices = sorted(path.read_text() for path in Path(arguments[1]).iterdir())
        (folder / "segmentation.dcm").write_text(" ".join(slices))


def compare(arguments: list[str]) -> None:
    """Imitate the command ``compare``: the canned followup.json, and the earlier segmentation as outlines."""
    home = Path(os.environ["FAKE_RESULTS"])
    (home / "last_arguments.json").write_text(json.dumps(arguments))
    how = os.environ.get("FAKE_RUN", "good")
    if how.startswith("error:"):
        sys.exit(how.split(":", 2)[2].replace("EARLIER", arguments[1]).replace("LATER", arguments[2]))
    if how == "slow":
        time.sleep(600)
    earlier, later = (Path(path) for path in arguments[1:3])
    written = [later, *(Path(arguments[n + 1]) for n, each in enumerate(arguments) if each == "--earlier")]
    assert all((each / name).is_file() for each in written for name in OWN)
    folder = Path(arguments[arguments.index("-o") + 1])
    folder.mkdir()
    data = json.loads((home / "followup.json").read_text())
    if "--links" in arguments:
        files = [Path(arguments[n + 1]) for n, each in enumerate(arguments) if each == "--links"]
        choices = [json.loads(file.read_text()) for file in files][-1]
        data |= {name: choices[name] for name in ("links", "unlinks")}
    (folder / "followup.json").write_text(json.dumps(data))
    shutil.copy(home / "outlines.seg.nrrd", folder / "earlier-lesions.seg.nrrd")
    (folder / "followup.csv").write_text(f"id,{earlier.is_dir()}")
    (folder / "report.html").write_text("<html>a follow-up report</html>")


def batch(arguments: list[str]) -> None:
    """Imitate the command ``batch``: all CTs of the table have the canned result, except one of the name "MR"."""
    home, output = Path(os.environ["FAKE_RESULTS"]), Path(arguments[arguments.index("-o") + 1])
    (home / "last_arguments.json").write_text(json.dumps(arguments))
    how, source = os.environ.get("FAKE_RUN", "good"), Path(arguments[1])
    if source.is_dir():
        paths = {path.name.partition(".")[0]: path for path in sorted(source.iterdir())}
    else:
        import csv

        rows = csv.DictReader(source.read_text().splitlines())
        shutil.copy(source, home / "table.csv")
        paths = {row["case"]: source.parent / row["path"] for row in rows}
    assert all(path.is_file() for path in paths.values())
    known = {
        case: {"case": case, "path": str(path), "series": "", "phase_number": None} for case, path in paths.items()
    }
    for values in known.values():
        say(event="item", **values, state="waiting", reason="", lesions=0, total_volume_ml=None)
    say(event="progress", stage="segmenting", done=0, total=len(paths))
    if how == "slow":
        wait_for_cancel(stages=False)
    if how.startswith("error:"):
        _, code, message = how.split(":", 2)
        print(message, file=sys.stderr)  # noqa: T201
        sys.exit(int(code))
    for done, (case, path) in enumerate(paths.items(), 1):
        if case.startswith("MR"):
            reason = f"{path} is not a CT; choose a chest CT."
            say(event="item", **known[case], state="refused", reason=reason, lesions=0, total_volume_ml=None)
        else:
            shutil.copytree(home / "results", output / case)
            say(event="item", **known[case], state="done", reason="", lesions=2, total_volume_ml=3.456)
        say(event="progress", stage="segmenting", done=done, total=len(paths))
    say(event="result", output=str(output))


if __name__ == "__main__":
    if "batch" in sys.argv:
        batch(sys.argv[sys.argv.index("batch") :])
    elif "compare" in sys.argv:
        compare(sys.argv[sys.argv.index("compare") :])
    elif "answer" in sys.argv:
        answer(sys.argv[sys.argv.index("answer") :])
    elif "measure" in sys.argv:
        measure(sys.argv[sys.argv.index("measure") :])
    else:
        segment(sys.argv[1:])
