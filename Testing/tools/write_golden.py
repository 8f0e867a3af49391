"""Rewrite the golden run from result folders: ``python Testing/tools/write_golden.py NAME=RESULT [NAME=RESULT ...]``.

Use it only after an intended change that CHANGELOG.md names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from golden import FOLDER, describe


def main() -> None:
    """Write one file per result."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for argument in sys.argv[1:]:
        name, _, folder = argument.partition("=")
        text = json.dumps(describe(Path(folder)), indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
