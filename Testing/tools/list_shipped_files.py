"""List the files that the extension and the wheel ship, and compare them with the lists in LungTumorSeg/CMakeLists.txt.

Run as a script, it rewrites both lists from the files on disk.
"""

from __future__ import annotations

import re
from pathlib import Path

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "LungTumorSeg"
CMAKE_FILE = MODULE_FOLDER / "CMakeLists.txt"
NOT_INSTALLED = "LungTumorSegLib/training/"
"""Folder that is part of the wheel but not of the extension, because nobody trains in Slicer."""

SCRIPTS, RESOURCES = "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"


def files_on_disk(folder: Path = MODULE_FOLDER) -> dict[str, list[str]]:
    """Return the paths of all files in ``folder`` that belong to the product, by the name of their CMake list."""
    built = re.compile(r"(^|/)(__pycache__|[^/]+\.egg-info|\.[^/]+)(/|$)")
    paths = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    shipped = [path for path in paths if path != CMAKE_FILE.name and not built.search(path)]
    return {
        SCRIPTS: [path for path in shipped if path.endswith(".py")],
        RESOURCES: [path for path in shipped if not path.endswith(".py")],
    }


def installed_files(folder: Path = MODULE_FOLDER) -> dict[str, list[str]]:
    """Return those of ``files_on_disk`` that the extension installs."""
    return {
        name: [path for path in paths if not path.startswith(NOT_INSTALLED)]
        for name, paths in files_on_disk(folder).items()
    }


def files_in_cmake(text: str, name: str) -> list[str]:
    """Return the entries of the CMake list ``name`` in ``text``."""
    return text[slice(*_span_of_list(text, name))].split()


def _span_of_list(text: str, name: str) -> tuple[int, int]:
    start = text.index(f"set({name}\n") + len(f"set({name}\n")
    return start, text.index("  )\n", start)


def _write_lists() -> None:
    text = CMAKE_FILE.read_text()
    for name, paths in installed_files().items():
        start, end = _span_of_list(text, name)
        text = text[:start] + "".join(f"  {path}\n" for path in paths) + text[end:]
    CMAKE_FILE.write_text(text)


if __name__ == "__main__":
    _write_lists()
