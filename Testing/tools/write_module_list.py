"""Writes docs/reference/modules.md from the docstrings: ``python Testing/tools/write_module_list.py``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "LungTumorSeg"
PAGE = ROOT / "docs" / "reference" / "modules.md"

INTRO = """# Modules

<!-- Written by Testing/tools/write_module_list.py; a test compares it with the code. -->

Every Python module of the extension, with the first sentence of its docstring. [Architecture](../explanation/architecture.md#to-change-something) says which of them a kind of change concerns.
"""  # noqa: E501


def page() -> str:
    """Return the page."""
    rooms: dict[str, list[str]] = {}
    for path, purpose in modules():
        rooms.setdefault((Path(MODULE.name) / path.parent).as_posix(), []).append(f"| `{path.name}` | {purpose} |")
    sections = (f"\n## {room}\n\n| module | what it does |\n|---|---|\n" + "\n".join(rooms[room]) for room in rooms)
    return INTRO + "\n".join(sections) + "\n"


def modules() -> Iterator[tuple[Path, str]]:
    """Yield each module's path below ``LungTumorSeg``, and its purpose in one line, sorted by folder and name."""
    found = (path.relative_to(MODULE) for path in MODULE.rglob("*.py"))
    for path in sorted(found, key=lambda path: (path.parent.as_posix(), path.name)):
        docstring = ast.get_docstring(ast.parse((MODULE / path).read_text(encoding="utf-8"))) or ""
        if path.name != "__init__.py":
            yield path, " ".join(docstring.split("\n\n", 1)[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
