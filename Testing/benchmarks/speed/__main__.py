"""Measure the speed of LungTumorSeg on this machine, and write the tables of docs/performance.md.

    python Testing/benchmarks/speed [PART ...] [--ct FILE ...] [--phantoms SEED ...] [--threads N]

The parts are: published (the shipped setting against the published way, each lever alone, agreement of the masks),
backends (torch and OpenVINO against each other), stages (the stages of a run and its peak memory) and sizes (100 to 800
slices). By default, all parts run on three phantoms, which takes an hour or more on one core. Each part replaces its
table in the page when it has a new row.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from LungTumorSegLib.core.machine import use_threads

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/performance.md"
PARTS = ("published", "backends", "stages", "sizes")
SEEDS = (7005, 7008, 7021)
SLICES = (100, 200, 400, 800)
STACKS = 3


def main() -> None:
    """Run the parts."""
    options = parse()
    if options.threads:
        use_threads(options.threads)
    for part in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            for text in tables(part, options, Path(folder)):
                from page import write_block  # after the number of threads has been set

                sys.stdout.write(f"{part}\n\n{text}\n\n")
                sys.stdout.flush()
                write_block(options.page, part, text)


def tables(part: str, options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Yield the growing table of one part."""
    # Imported here, because the libraries read the number of threads when they are loaded.
    from backends import backends_compared
    from LungTumorSegLib.io.images import read_ct
    from LungTumorSegLib.networks.stored import load_model
    from LungTumorSegLib.phantom import make_phantom
    from published import Case, against_published
    from stages import size_series, stages_of

    if part == "sizes":
        yield from size_series(options.slices, folder)
        return
    cts = {f"phantom {seed}": make_phantom(seed).ct for seed in options.phantoms}
    cts |= {path.parent.name or path.name: read_ct(path) for path in options.ct}
    if part == "stages":
        yield from stages_of(cts, folder)
        return
    model = load_model()
    if part == "published":
        yield from against_published(cts, model, options.stacks, agreement=options.agreement)
    else:
        yield from backends_compared(Case(next(iter(cts.values())), model).cropped, model, options.stacks)


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--ct", type=Path, nargs="*", default=[], help="CTs beside the phantoms")
    parser.add_argument("--phantoms", type=int, nargs="*", default=SEEDS, metavar="SEED")
    parser.add_argument("--stacks", type=int, default=STACKS, help="stacks that are timed of each way")
    parser.add_argument("--slices", type=int, nargs="*", default=SLICES, help="the numbers of slices of part sizes")
    parser.add_argument("--no-agreement", dest="agreement", action="store_false", help="do not compare the masks")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    main()
