"""Names of the files of a comparison; nothing heavy is imported here, because the panel needs them too."""

from __future__ import annotations

CT_FILE = "ct.nrrd"
"""The CT in a result folder."""

CSV_FILE, JSON_FILE, REPORT_FILE = "followup.csv", "followup.json", "report.html"
PDF_FILE = "report.pdf"
OUTLINES_FILE = "earlier-lesions.seg.nrrd"
