"""Write Testing/data/ibsi/conformance.csv.

python Testing/tools/write_ibsi_conformance.py FOLDER_OF_THE_CT_PHANTOM
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from ibsi import CONFIGURATIONS, FOLDER, rows


def main(ct_folder: Path) -> None:
    """Compute the values of all configurations and write the table."""
    with open(FOLDER / "conformance.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["configuration", "tag", "reference", "tolerance", "ours", "conforms"])
        for configuration in ("digital", *CONFIGURATIONS):
            for row in rows(configuration, ct_folder):
                ours, conforms = f"{row.ours:.5g}", "yes" if row.conforms else "no"
                writer.writerow(
                    [row.configuration, row.tag, f"{row.reference:g}", f"{row.tolerance:g}", ours, conforms]
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
