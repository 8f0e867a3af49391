"""A stand-in for ``lungtumorseg segment`` that writes a small result in a fraction of a second.

``python quick_engine.py INPUT OUTPUT``: the input is a text file. Its first word decides what happens: ``good``
writes a result with one lesion; ``damaged`` is refused; ``crash`` ends with a traceback; ``half`` reports that half of
the network's work is done and ends when the file ``go`` lies beside the input, as ``slow`` does.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from LungTumorSegLib.results.folder import complete_or_nothing
from LungTumorSegLib.results.replaceable_files import Output


def tell(**event: object) -> None:
    """Write an event."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(source: Path, output: Path) -> int:
    """Do what the first word of ``source`` says; return the exit code."""
    with (source.parent / "starts.txt").open("a", encoding="utf-8") as starts:
        starts.write(f"{source.name}\n")
    word, *_ = source.read_text(encoding="utf-8").split()
    if word == "crash":
        raise RuntimeError("broken")
    if word == "damaged":
        tell(event="error", code=2, message=f"{source} is damaged; copy it again.")
        return 2
    if word == "half":
        tell(event="progress", stage="predicting", done=1, total=2)
    while word in ("slow", "half") and not (source.parent / "go").exists():
        time.sleep(0.02)
    lesion = {"number": 1, "segment": "Tumor 1", "side": "Left", "volume_ml": 2.5, "long_axis_mm": 17.0}
    summary = {"software_version": "1", "model": "m", "warnings": ["Look here."], "lesions": [lesion]}
    with complete_or_nothing(Output(output, "result")) as private:
        (private / "segmentation.seg.nrrd").write_bytes(b"found")
        (private / "report.html").write_text("<p>report</p>", encoding="utf-8")
        (private / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    tell(event="result", output=str(output))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
