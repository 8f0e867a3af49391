"""Render the icon's drawing to the two PNG files of 128 x 128 pixels that Slicer requires. Needs PySide6-Essentials."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

ROOT = Path(__file__).resolve().parents[2]
DRAWING = ROOT / "LungTumorSeg/Resources/Icons/LungTumorSeg.svg"
ICONS = (DRAWING.with_suffix(".png"), ROOT / "ExtensionIcon.png")
SIZE_PIXELS = 128


def main() -> None:
    """Render and save both files."""
    image = QImage(SIZE_PIXELS, SIZE_PIXELS, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(DRAWING)).render(painter)
    painter.end()
    for icon in ICONS:
        image.save(str(icon))


if __name__ == "__main__":
    main()
