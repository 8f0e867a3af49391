"""Metrics of data sets, computed from files, and their table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..core.complete_files import complete_file
from ..core.csv_tables import write_table
from ..core.errors import UnusableInput
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.texts import listed
from ..core.volume import Volume
from ..io.images import read_ct
from ..report.charts import write_froc
from ..results.folder import check_output, complete_or_nothing
from ..results.replaceable_files import Output
from .cases import CaseMetrics, Row, evaluate_case, missed_case, row, summarize
from .files import PROBABILITY, RESULT, Pair, find_pairs, read_pair, read_reference


def evaluate_files(
    prediction: Path,
    reference: Path,
    cases: Path | None = None,
    on_progress: ProgressCallback = ignore_progress,
    *,
    overwrite: bool = False,
    ct: Path | None = None,
) -> dict[str, Any]:
    """Compare two files, or two folders of files matched by name.

    A file is a label map or a .seg.nrrd, of which the lesion segments count (see ``files``). Files that are compared
    are never overwritten.

    Args:
        prediction: The predicted file or folder.
        reference: The reference file or folder.
        cases: A CSV file for the table, with one row per case. If all cases have a probability map, the FROC curve is
            written beside it (``-froc.svg``).
        on_progress: Receives the number of compared cases.
        overwrite: Whether to replace existing files of these names that no evaluation wrote, or that were changed
            since.
        ct: The CT of two files, on which structure sets are filled.

    Returns:
        The result of ``summarize``, the names of references without a prediction (``without_prediction``), whose
        lesions count as missed, the names of predictions without a reference (``without_reference``), the rows of the
        table (``per_case``), and sentences about what was read (``warnings``).

    Raises:
        UnusableInput: Files cannot be read or matched, grids differ, or the table must not be written.
        MachineLimit: The table cannot be written.
    """
    pairs, missing, unmatched = find_pairs(Path(prediction), Path(reference))
    if ct is not None and Path(reference).is_dir() and not (Path(reference) / RESULT).is_file():
        raise UnusableInput(f"{ct} is the CT of one case, but {reference} is a folder; compare its cases one by one.")
    grid, warnings = None, list[str]()
    if ct is not None:
        on_progress(Progress("reading", 0, 1))
        grid = read_ct(ct)
        warnings += grid.warnings
    if missing:
        warnings.append(
            f"{prediction} contains no prediction for {listed(list(missing))}; their lesions count as missed in all "
            "metrics. If there are predictions, name them like their references."
        )
    if cases is not None:
        inputs = [path for pair in pairs for path in (pair.prediction, pair.reference)]
        inputs += [*missing.values(), *(pair.prediction.with_name(PROBABILITY) for pair in pairs)]
        output = Output(Path(cases).parent, f"evaluation {Path(cases).name}", inputs, overwrite)
        check_output(output, {Path(cases).name, froc_name(Path(cases))})
    metrics = _evaluated(pairs, missing, on_progress, grid, warnings.append)
    rows, summary = [row(name, case) for name, case in metrics.items()], summarize(list(metrics.values()))
    if cases is not None:
        with complete_or_nothing(output) as private:
            write_cases(rows, private / Path(cases).name)
            if "froc" in summary:
                write_froc_of(summary, private / froc_name(Path(cases)))
    table = [asdict(line) for line in rows]
    unpaired = {"without_prediction": list(missing), "without_reference": unmatched}
    return {**summary, **unpaired, "per_case": table, "warnings": list(dict.fromkeys(warnings))}


def _evaluated(
    pairs: Sequence[Pair],
    missing: Mapping[str, Path],
    on_progress: ProgressCallback,
    ct: Volume | None,
    warn: Callable[[str], None],
) -> dict[str, CaseMetrics]:
    """Return the metrics of all pairs, and of the references without a prediction that have lesions, by name."""
    metrics = {}
    for done, pair in enumerate(pairs):
        on_progress(Progress("comparing", done, len(pairs)))
        try:
            metrics[pair.name] = evaluate_case(*read_pair(pair, ct, warn))
        except UnusableInput as error:
            if len(pairs) == 1:  # the reason names both files
                raise
            raise UnusableInput(f"{pair.name}: {error}") from error
    missed = {name: missed_case(read_reference(path, warn)) for name, path in missing.items()}
    metrics |= {name: case for name, case in missed.items() if case is not None}
    return dict(sorted(metrics.items()))


def froc_name(cases: Path) -> str:
    """Return the name of the FROC curve that belongs to a table."""
    return f"{cases.stem}-froc.svg"


def write_froc_of(summary: dict[str, Any], picture: Path) -> None:
    """Write the FROC curve of ``summarize`` as an SVG."""
    write_froc(
        [(point["false_positives_per_scan"], point["sensitivity"]) for point in summary["froc"]["curve"]], picture
    )


def write_cases(rows: Sequence[Row], path: Path) -> None:
    """Write one row per case, with undefined values empty; the file appears only when complete."""
    with complete_file(path) as unfinished:
        write_table(unfinished, [field.name for field in fields(Row)], (asdict(line).values() for line in rows))
