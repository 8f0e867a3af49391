"""The content of summary.json and of the other records: what was found, and how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .. import NOTICE, __version__
from ..core.json_files import write_json
from ..core.volume import CTVolume, Volume
from ..lesions.table import lesions_as_json, margins_as_json, spread_as_json
from .contents import FILES_KEY
from .ct_checksum import ct_checksum

if TYPE_CHECKING:
    from ..lesions import LesionReport
    from ..lesions.spread import Margin
    from .segment_result import SegmentResult

SCHEMA_VERSION = 1

RUN_FACTS = ("model", "weights_sha256", "options", "device", "precision", "backend", "seconds")
"""Keys of summary.json that describe how a run was made; they stay when its segmentation is measured again."""

NO_RUN: Mapping[str, Any] = MappingProxyType({})


def summary_of(result: SegmentResult) -> dict[str, Any]:
    """Return the content of summary.json: the result and how it was made, without any path or patient name."""
    return {
        **origin(),
        "model": result.manifest.id,
        "weights_sha256": result.manifest.weights_sha256,
        "options": asdict(result.settings),
        "device": result.device,
        "precision": result.precision,
        "backend": result.backend,
        "ct_sha256": ct_checksum(result.ct),
        "warnings": list(result.warnings),
        "message": result.report.message,
        "lungs": lung_volumes(result.isolation.left_lung, result.isolation.right_lung)
        if result.isolation.sides_known
        else None,
        "lesions": lesions_as_json(result.report),
        "spread": spread_as_json(result.report),
        "seconds": result.seconds,
        "notice": NOTICE,
    }


def summary_of_measures(
    ct: CTVolume,
    report: LesionReport,
    lungs: tuple[Volume, Volume] | None,
    *,
    found_margins: Iterable[Margin],
    run: Mapping[str, Any],
    case: str | None,
) -> dict[str, Any]:
    """Return the content of summary.json for the measures of an existing segmentation; see ``write_measures``."""
    return {
        **origin(),
        **facts_of(run),
        "ct_sha256": ct_checksum(ct),
        "warnings": list(dict.fromkeys([*run.get("warnings", []), *ct.warnings, *report.warnings])),
        "message": report.message,
        "lungs": None if lungs is None else lung_volumes(*lungs),
        "lesions": lesions_as_json(report),
        "spread": spread_as_json(report),
        "margins": margins_as_json(found_margins),
        "notice": NOTICE,
        **case_entry(case),
    }


def origin() -> dict[str, Any]:
    """Return the first entries of each record: its schema version and the version of the software."""
    return {"schema_version": SCHEMA_VERSION, "software_version": __version__}


def lung_volumes(left: Volume, right: Volume) -> dict[str, float]:
    """Return the entry about the lungs: their volumes in mL."""
    lungs = (("left_ml", left), ("right_ml", right))
    return {name: round(lung.mask_ml, 3) for name, lung in lungs}


def write_record(data: dict[str, Any], path: Path, *, also: Iterable[str] = ()) -> None:
    """Write ``data``, with the names of all files beside it, as indented UTF-8 JSON; this is the last file of a run."""
    data[FILES_KEY] = sorted({*(each.name for each in path.parent.iterdir()), path.name, *also})
    write_json(path, data)


def case_entry(case: str | None) -> dict[str, str]:
    """Return the entry with the name of the case, if it has one."""
    return {} if case is None else {"case": case}


def facts_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a run was made, from its summary; ``segmented_with`` is the software version of that run."""
    facts = {name: run[name] for name in RUN_FACTS if name in run}
    version = run.get("segmented_with", run.get("software_version"))
    return facts if version is None else {**facts, "segmented_with": version}
