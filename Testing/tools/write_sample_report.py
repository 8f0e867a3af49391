"""Writes Resources/sample-report.html and Resources/Screenshots/spread.png, from a phantom and its true masks."""

from __future__ import annotations

from pathlib import Path

from LungTumorSegLib.lesions import report_lesions
from LungTumorSegLib.phantom import make_phantom
from LungTumorSegLib.rendering import render_spread
from LungTumorSegLib.report import Heading, write_report

SEED = 3
RESOURCES = Path(__file__).resolve().parents[2] / "Resources"


def main() -> None:
    phantom = make_phantom(SEED)
    left, right = (phantom.lungs.with_array(phantom.lungs.array == label) for label in (1, 2))
    tumor = phantom.tumor.with_array(phantom.tumor.array > 0)
    report = report_lesions(tumor, phantom.ct, left, right, min_lesion_ml=0.0)
    heading = Heading(title="Sample report", patient=f"Procedural phantom, seed {SEED}, measured on its true masks")
    write_report(report, phantom.ct, left, right, RESOURCES / "sample-report.html", heading)
    render_spread(left, right, report.labels, RESOURCES / "Screenshots" / "spread.png")


if __name__ == "__main__":
    main()
