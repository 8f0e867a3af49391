"""What a model's card says to whoever reads its results."""

from __future__ import annotations

import re
from pathlib import Path

CARD_FILE = "MODEL_CARD.md"

EXCERPT = ("Intended use", "Where it fails")
"""Sections of a card that belong beside every result."""


def card_excerpt(folder: Path) -> str:
    """The sections of the model card in ``folder`` on intended use and failures, a line a section without Markdown; "" without a card."""
    try:
        text = (folder / CARD_FILE).read_text(encoding="utf-8")
    except OSError:  # a model of one's own needs no card
        return ""
    sections = {
        title.strip(): body for title, body in re.findall(r"^## (.*)\n((?:(?!## ).*\n?)*)", text, flags=re.MULTILINE)
    }
    return "\n".join(f"{title}: {_plain(sections[title])}" for title in EXCERPT if title in sections)


def _plain(markdown: str) -> str:
    return " ".join(re.sub(r"[*`]", "", markdown).split())
