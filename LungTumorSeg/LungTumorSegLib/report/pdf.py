"""Print an HTML report to PDF with the browser of the machine: Chromium, Chrome or Edge."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ..core.errors import MachineLimit
from ..core.private_folder import private_folder
from ..process.child import FOLDER_PREFIX, ChildProcess

LIMIT_SECONDS = 120.0
"""Longest time that the browser may take, in seconds; a report of 12 lesions takes 2 s on an idle machine."""

POLL_SECONDS = 0.1
"""Seconds between two checks of the browser and for a cancellation."""

COMMANDS = (
    "google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome", "microsoft-edge",
    "microsoft-edge-stable", "msedge",
)  # fmt: skip
"""Names of the browsers on the PATH."""

MAC_APPLICATIONS = ("Google Chrome", "Chromium", "Microsoft Edge")
WINDOWS_PROGRAMS = ("Google/Chrome/Application/chrome.exe", "Chromium/Application/chrome.exe",
                    "Microsoft/Edge/Application/msedge.exe")  # fmt: skip
WINDOWS_FOLDERS = ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")
"""Environment variables that name the folders of programs."""

FLAGS = (
    "--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--no-pdf-header-footer",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-domain-reliability", "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
"""Options of the browser: no window, no header with the path of the file, no host that can be reached."""

HOW_ELSE = "print report.html from a browser instead"


def print_report(html: Path, pdf: Path, check: Callable[[], object] = lambda: None) -> list[str]:
    """Print a report.

    Args:
        html: The report.
        pdf: The file to write.
        check: Called often; an exception that it raises ends the browser.

    Returns:
        A warning if the machine cannot print, since a missing PDF must not prevent the result from being written.
    """
    try:
        _print(html, pdf, check)
    except MachineLimit as error:
        pdf.unlink(missing_ok=True)
        return [f"{pdf.name} was not written: {error}"]
    return []


def find_browser(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str | None:
    """Return the path of a browser that can print without a window; None if the machine has none."""
    on_path = filter(None, (shutil.which(name, path=environment.get("PATH")) for name in COMMANDS))
    return next(on_path, None) or next((str(path) for path in _programs(environment, platform) if path.is_file()), None)


def _programs(environment: Mapping[str, str], platform: str) -> Iterator[Path]:
    """Yield where installers put the browsers, which on macOS and Windows is not on the PATH."""
    if platform == "darwin":
        for folder in (Path(environment.get("HOME", "/")) / "Applications", Path("/Applications")):
            yield from (folder / f"{name}.app" / "Contents" / "MacOS" / name for name in MAC_APPLICATIONS)
    if platform == "win32":
        for folder in (Path(environment[name]) for name in WINDOWS_FOLDERS if name in environment):
            yield from (folder / program for program in WINDOWS_PROGRAMS)


def _print(html: Path, pdf: Path, check: Callable[[], object]) -> None:
    browser = find_browser()
    if browser is None:
        raise MachineLimit(
            f"neither Chromium nor Chrome nor Edge was found on this machine; install one, or {HOW_ELSE}."
        )
    try:
        with private_folder(Path(tempfile.gettempdir()), FOLDER_PREFIX) as profile:
            code = _run(_command(browser, profile, html, pdf), check)
    except OSError as error:
        raise MachineLimit(f"{browser} cannot be started ({error.strerror or error}); {HOW_ELSE}.") from error
    if code is None:
        raise MachineLimit(f"{browser} did not finish within {LIMIT_SECONDS:.0f} s; {HOW_ELSE}.")
    if not _is_complete(pdf):
        raise MachineLimit(f"{browser} ended with code {code} and without a PDF; {HOW_ELSE}.")


def _command(browser: str, profile: Path, html: Path, pdf: Path) -> list[str]:
    # Chromium refuses to run as root inside its sandbox; the page is ours and holds no script.
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    places = [f"--user-data-dir={profile}", f"--print-to-pdf={pdf.absolute()}", html.absolute().as_uri()]
    return [browser, *FLAGS, *as_root, *places]


def _run(command: list[str], check: Callable[[], object]) -> int | None:
    """Run the browser and return its exit code; None if it was ended because it took too long."""
    # Slicer's own libraries must not be loaded by a program of the system.
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    child = ChildProcess(command, environment)
    end = time.monotonic() + LIMIT_SECONDS
    try:
        while (code := child.exit_code) is None and time.monotonic() < end:
            check()
            time.sleep(POLL_SECONDS)
    finally:
        child.kill()
        logging.getLogger(__name__).info("%s said: %s", command[0], "\n".join(child.stderr_lines))
    return code


def _is_complete(pdf: Path) -> bool:
    if not pdf.is_file():
        return False
    content = pdf.read_bytes()
    return content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
