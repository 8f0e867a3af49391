"""Write the result files of ``isolate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core import terminology
from ..core.boxes import Box, slices_of
from ..core.computed import ComputedVolume
from ..core.events import ProgressCallback, ignore_progress
from ..core.threads import run_both
from ..core.volume import AIR_HU, Array, CTVolume
from ..io.images import write_volume
from ..io.seg_nrrd import write_segmentation
from ..io.segment import Segment
from ..isolation import LungIsolation
from .contents import CT_FILE, ISOLATED_FILE, ISOLATION, ISOLATION_FILE, ISOLATION_SEGMENTATION_FILE
from .folder import WRITTEN, complete_or_nothing
from .replaceable_files import Output
from .result_segments import lung_segments
from .summary import case_entry, origin, write_record

BODY_COLOR = (0.89, 0.76, 0.66)
MASK_COLOR = (0.96, 0.84, 0.35)


def write_isolation(
    ct: CTVolume,
    isolation: LungIsolation,
    folder: Path,
    *,
    source: Path | None = None,
    case: str | None = None,
    overwrite: bool = False,
    on_progress: ProgressCallback = ignore_progress,
) -> None:
    """Write the files of ``lungtumorseg isolate``.

    These are isolation.seg.nrrd, isolated.nrrd and isolation.json (with the spine axis, one LPS point in mm per slice),
    and ct.nrrd if the CT was resampled.

    Args:
        ct: The CT.
        isolation: Its lung isolation.
        folder: The output folder; it is created if necessary.
        source: The file from which the CT was read; it is never removed or replaced.
        case: Name of the case in isolation.json.
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.
        on_progress: Called before the files appear; it may raise Cancelled.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        MachineLimit: If a file cannot be written; no file appears then.
    """
    segments = [
        Segment("Body", isolation.body, BODY_COLOR, terminology.BODY),
        *lung_segments(isolation),
        Segment("Isolation mask", isolation.mask, MASK_COLOR, terminology.ISOLATION_MASK),
    ]
    output = Output(folder, ISOLATION, () if source is None else (source,), overwrite)
    with complete_or_nothing(output, on_progress) as private:
        run_both(
            lambda: write_segmentation(segments, private / ISOLATION_SEGMENTATION_FILE),
            lambda: write_volume(_isolated(isolation), private / ISOLATED_FILE),
        )
        if ct.resampled:
            write_volume(ct, private / CT_FILE)
        write_record(_record(ct, isolation, case), private / ISOLATION_FILE)
        on_progress(WRITTEN)


def _isolated(isolation: LungIsolation) -> ComputedVolume:
    """Return the CT with air outside the isolation mask, without a copy of the whole CT."""
    inside, hu = isolation.mask.array, isolation.ct.array

    def part(box: Box) -> Array:
        here = slices_of(box)
        return np.where(inside[here], hu[here], hu.dtype.type(AIR_HU))

    return ComputedVolume(isolation.ct.grid, part)


def _record(ct: CTVolume, isolation: LungIsolation, case: str | None) -> dict[str, Any]:
    """Return the content of isolation.json."""
    return {
        **origin(),
        **case_entry(case),
        "spine_axis_lps": [[round(float(c), 4) for c in point] for point in isolation.spine_axis.points_lps],
        "carina_lps": isolation.carina_lps,
        "warnings": [*ct.warnings, *isolation.warnings],
    }
