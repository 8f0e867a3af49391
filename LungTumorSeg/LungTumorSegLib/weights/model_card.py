"""Extract the parts of a model's card that readers of its results need."""

from __future__ import annotations

import re
from pathlib import Path

CARD_FILE = "MODEL_CARD.md"

EXCERPT = ("Intended use", "Where it fails")
"""Sections of a card that accompany every result."""


def card_excerpt(folder: Path) -> str:
    """Return the sections on intended use and failures of the model card in ``folder``.

    Returns:
        One line per section, without Markdown; "" if there is no card.
    """
    try:
        text = (folder / CARD_FILE).read_text(encoding="utf-8")
    except OSError:  # a user's own model needs no card
        return ""
    sections = {
        title.strip(): body for title, body in re.findall(r"^## (.*)\n((?:(?!## ).*\n?)*)", text, flags=re.MULTILINE)
    }
    return "\n".join(f"{title}: {_plain(sections[title])}" for title in EXCERPT if title in sections)


def _plain(markdown: str) -> str:
    return " ".join(re.sub(r"[*`]", "", markdown).split())
