"""The report as PDF: printed by a browser where there is one, and never a reason for a run to fail."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from commands import run_command
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.lesions.columns import COLUMN
from LungTumorSegLib.report import html as report_module
from LungTumorSegLib.report import pdf as pdf_module
from LungTumorSegLib.report.pdf import find_browser, print_report
from LungTumorSegLib.results.contents import Extras
from LungTumorSegLib.results.mark import read_mark
from LungTumorSegLib.results.writer import write_measures
from made_results import a_result
from result_files import names
from two_lungs import write_examination

posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in for a browser is a script")

BROWSER = """#!{python}
import subprocess, sys, time
places = dict(each.split("=", 1) for each in sys.argv if "=" in each)
open({log!r}, "w").write("\\n".join(sys.argv))
{deed}
open(places["--print-to-pdf"], "wb").write({content!r})
"""


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """Return a function that puts a stand-in for a browser on the PATH; it returns the file with its arguments."""

    def make(content: bytes = b"%PDF-1.4 a page %%EOF\n", deed: str = "") -> Path:
        log = tmp_path / "arguments.txt"
        program = tmp_path / "bin" / "chromium"
        program.parent.mkdir()
        program.write_text(BROWSER.format(python=sys.executable, log=str(log), deed=deed, content=content))
        program.chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", str(program.parent))
        return log

    return make


@pytest.fixture
def no_browser(monkeypatch):
    monkeypatch.setattr(pdf_module, "find_browser", lambda: None)


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    monkeypatch.setattr(report_module, "spread_pictures", lambda *_, **__: [])
    monkeypatch.setattr(report_module, "_views", lambda *_: {"pictures": [], "no_pictures": "Not drawn."})


def measured(folder: Path, **settings) -> dict:
    result = a_result()
    lungs = result.isolation.left_lung, result.isolation.right_lung
    extras = Extras(report=True, **settings)
    return write_measures(result.ct, result.report, folder, lungs=lungs, extras=extras)


@posix
def test_the_pdf_is_one_of_the_files_of_a_result(tmp_path, browser):
    log = browser()
    summary = measured(tmp_path / "out", pdf=True)
    assert names(tmp_path / "out") == {"lesions.csv", "summary.json", "report.html", "report.pdf"}
    assert "report.pdf" in summary["files"]
    assert "report.pdf" in read_mark(tmp_path / "out").files
    assert not summary["warnings"]
    given = log.read_text().splitlines()
    assert given[-1].startswith("file:///")
    assert given[-1].endswith("/report.html")
    assert "--host-resolver-rules=MAP * ~NOTFOUND" in given
    (profile,) = (each.partition("=")[2] for each in given if each.startswith("--user-data-dir="))
    assert not Path(profile).exists()


@posix
def test_a_report_without_a_print_replaces_the_print_of_an_earlier_one(tmp_path, browser):
    browser()
    measured(tmp_path / "out", pdf=True)
    measured(tmp_path / "out")
    assert "report.pdf" not in names(tmp_path / "out")


def test_without_a_browser_the_result_has_a_warning(tmp_path, no_browser):
    (warning,) = measured(tmp_path, pdf=True)["warnings"]
    assert re.fullmatch(r"report\.pdf was not written: neither Chromium nor Chrome nor Edge was found .*\.", warning)
    assert names(tmp_path) == {"lesions.csv", "summary.json", "report.html"}


@posix
@pytest.mark.parametrize(("content", "deed", "problem"), [
    (b"%PDF-1.4 half a page", "", "ended with code 0 and without a PDF"),
    (b"", "sys.exit(5)", "ended with code 5 and without a PDF"),
    (b"", "time.sleep(600)", "did not finish within 1 s"),
], ids=["incomplete", "failed", "stuck"])  # fmt: skip
def test_a_browser_that_fails_is_a_warning(tmp_path, browser, monkeypatch, content, deed, problem):
    monkeypatch.setattr(pdf_module, "LIMIT_SECONDS", 1.0)
    browser(content, deed)
    (warning,) = print_report(tmp_path / "report.html", tmp_path / "report.pdf")
    assert problem in warning
    assert not (tmp_path / "report.pdf").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_cancelling_ends_the_browser_and_its_children(tmp_path, browser):
    children = tmp_path / "children.txt"
    child = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    browser(deed=f"{child}; open({str(children)!r}, 'w').write(str(child.pid)); time.sleep(600)")

    def check():
        if children.exists() and children.read_text():
            raise Cancelled

    with pytest.raises(Cancelled):
        print_report(tmp_path / "report.html", tmp_path / "report.pdf", check)
    status = Path(f"/proc/{children.read_text()}/stat")
    end = time.monotonic() + 10
    while status.exists() and status.read_text().split()[2] != "Z" and time.monotonic() < end:
        time.sleep(0.02)
    assert not status.exists() or status.read_text().split()[2] == "Z"


@pytest.mark.parametrize(("platform", "variable", "program"), [
    ("darwin", "HOME", "Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    ("win32", "PROGRAMFILES(X86)", "Microsoft/Edge/Application/msedge.exe"),
    ("win32", "LOCALAPPDATA", "Google/Chrome/Application/chrome.exe"),
])  # fmt: skip
def test_browsers_are_found_where_installers_put_them(tmp_path, platform, variable, program):
    environment = {"PATH": str(tmp_path), variable: str(tmp_path)}
    path = tmp_path / program
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_browser(environment, platform) == str(path)


def test_nothing_can_be_printed_without_a_report():
    with pytest.raises(UnusableInput, match=r"--pdf prints the report"):
        Extras(report=False, pdf=True)


def run_measure(folder: Path) -> str:
    result = a_result()
    write_volume(result.ct, folder / "ct.nrrd")
    write_volume(result.report.labels, folder / "labels.nrrd")
    return run_command("measure", folder / "ct.nrrd", folder / "labels.nrrd", "-o", folder / "out", "--pdf")


def run_compare(folder: Path) -> str:
    result = write_examination(folder / "result", {"Tumor 1": ((66.0, 0.0, 40.0), 9.0)})
    return run_command("compare", result, result, "-o", folder / "out", "--pdf")


COMMANDS = pytest.mark.parametrize("run", [run_measure, pytest.param(run_compare, marks=pytest.mark.slow)])


@COMMANDS
def test_the_commands_say_that_they_could_not_print(tmp_path, no_browser, run):
    assert "Warning: report.pdf was not written: neither Chromium nor Chrome nor Edge was found" in run(tmp_path)
    assert "report.html" in names(tmp_path / "out")
    assert "report.pdf" not in names(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="no browser on this machine")
@COMMANDS
def test_the_commands_print(tmp_path, run):
    import pypdf

    assert "report.pdf" not in run(tmp_path)
    assert pypdf.PdfReader(tmp_path / "out" / "report.pdf").pages[0].extract_text()


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="no browser on this machine")
def test_a_browser_prints_everything_in_the_report(tmp_path):
    import pypdf

    summary = measured(tmp_path, pdf=True, patient="Doe, J.")
    assert not summary["warnings"]
    reader = pypdf.PdfReader(tmp_path / "report.pdf")
    text = unicodedata.normalize("NFKC", " ".join(page.extract_text() for page in reader.pages))  # fi and fl are joined
    assert reader.metadata.title == "Lung tumor report"
    assert "Doe, J." in text
    assert [name for name in COLUMN if name not in text] == []
    assert str(tmp_path) not in text + str(reader.metadata)
