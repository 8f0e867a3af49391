"""Write Resources/sample-report.html and Resources/Screenshots/spread.png from a phantom and its true masks."""

from __future__ import annotations

from pathlib import Path

from LungTumorSegLib.isolation import carina_of
from LungTumorSegLib.lesions import margins, report_lesions
from LungTumorSegLib.phantom import make_phantom
from LungTumorSegLib.report.html import Heading, write_report
from LungTumorSegLib.report.views_3d import render_spread
from LungTumorSegLib.weights.manifest import DEFAULT_MODEL, find_model
from LungTumorSegLib.weights.model_card import card_excerpt

SEED = 3
RESOURCES = Path(__file__).resolve().parents[2] / "Resources"


def main() -> None:
    """Measure the phantom, then write the report and the picture."""
    phantom = make_phantom(SEED)
    left, right = (phantom.lungs.with_array(phantom.lungs.array == label) for label in (1, 2))
    tumor = phantom.tumor.with_array(phantom.tumor.array > 0)
    report = report_lesions(tumor, phantom.ct, left, right, min_lesion_ml=0.0, carina_lps=carina_of(phantom.ct))
    lungs = phantom.lungs.with_array(phantom.lungs.array > 0)
    around = list(margins(report.labels, lungs, None, (5.0, 8.0, 20.0)))
    patient = f"Procedural phantom, seed {SEED}, measured on its true masks"
    heading = Heading(title="Sample report", patient=patient, model_card=card_excerpt(find_model(DEFAULT_MODEL)))
    write_report(report, phantom.ct, left, right, RESOURCES / "sample-report.html", heading=heading, margins=around)
    render_spread(left, right, report.labels, RESOURCES / "Screenshots" / "spread.png")


if __name__ == "__main__":
    main()
