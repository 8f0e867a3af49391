"""Damaged files for every reader: seeded mutations, read in a child process with limited memory and time.

``python Testing/helpers/fuzzing.py READER --count 1000`` prints what failed; the tests do the same with fewer inputs.

A reader passes if it returns, or if it raises UnusableInput or MachineLimit with one line of limited length. Everything
else is a failure: another exception, a crash, more than ``MAX_SECONDS`` for one input, more than ``MAX_BYTES`` of
memory.
"""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_SECONDS = 30
MAX_BYTES = 2 << 30
MAX_MESSAGE = 1200
"""Largest number of characters in a message: a sentence with one or two paths."""

START_SECONDS = 120
"""Time that a child process may take to import the libraries of a reader and write its seeds on a busy machine, s."""

WORDS = (
    b"nan", b"inf", b"-1", b"0", b"1e999", b"-0.0", b"1e-300", b"65536", b"2147483648", b"99999999999999999999",
    b"none",
    b"(nan,0,0)", b"LIST", b"%d", b"\xff\xfe", b"'", b'"', b"{", b"[" * 50, b"null", b"true", b"domain " * 300,
    b"!!int ''", b"\0",
)  # fmt: skip
"""Replacements for the words of headers and texts."""

INTEGERS = [
    value.to_bytes(size, "little")
    for size in (1, 2, 4, 8)
    for value in (0, 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1)
]


@dataclass(frozen=True)
class Reader:
    """A reader and its seeds.

    Attributes:
        seeds: Writes intact files into a folder and returns, per seed, the path to pass to ``read``.
        read: Reads such a path.
    """

    seeds: Callable[[Path], list[Path]]
    read: Callable[[Path], Any]


@dataclass
class Findings:
    """What ``fuzz`` found.

    Attributes:
        outcomes: Number of inputs by outcome.
        failures: One line or traceback per failure.
        peak_bytes: Largest memory of a child process, bytes.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    peak_bytes: int = 0


def fuzz(readers: Sequence[str], *, count: int, first: int = 0) -> dict[str, Findings]:
    """Pass mutated inputs to readers, one after the other in one child process, which loads their libraries once.

    A child process that dies or hangs loses only one input; the next child process continues after it.

    Args:
        readers: Names of the readers, keys of ``READERS``; name and number determine an input.
        count: Number of inputs per reader.
        first: Number of the first input.

    Returns:
        What was found, by reader.
    """
    findings = {reader: Findings() for reader in readers}
    left = [(reader, number) for reader in readers for number in range(first, first + count)]
    while left:
        with tempfile.TemporaryDirectory(prefix="fuzzing-") as folder:
            left = _one_child(left, folder, findings)
    return findings


def _one_child(left: list[tuple[str, int]], folder: str, findings: dict[str, Findings]) -> list[tuple[str, int]]:
    """Run a child process for inputs (reader, number) in this order; return those that are left to try."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, __file__, "--child", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        errors: list[str] = []
        messages = child.stderr
        listener = threading.Thread(target=lambda: errors.append(messages.read()[-2000:]), daemon=True)
        listener.start()
        child.stdin.write(json.dumps(left))
        child.stdin.close()
        done, ready = 0, ""
        while done < len(left):
            watch = threading.Timer(MAX_SECONDS if ready == left[done][0] else START_SECONDS, child.kill)
            watch.start()
            line = child.stdout.readline()
            watch.cancel()
            if not line:
                break
            result = json.loads(line)
            if "ready" in result:  # the greeting of a child whose reader is ready
                ready = result["ready"]
                continue
            done += 1
            _note(result, findings[ready])
        code = child.wait()
        listener.join()
    if done < len(left):
        reader, number = left[done]
        findings[reader].outcomes["died"] += 1
        findings[reader].failures.append(f"{reader} {number}: the process ended with code {code} {''.join(errors)}")
        done += 1
    return left[done:]


def _note(result: dict[str, Any], findings: Findings) -> None:
    findings.outcomes[result["outcome"]] += 1
    findings.peak_bytes = max(findings.peak_bytes, result["peak_bytes"])
    if result["outcome"] not in ("read", "refused"):
        findings.failures.append(f"{result['reader']} {result['number']}: {result['text']}")


def _child(inputs: list[tuple[str, int]], folder: Path) -> None:
    """Read the inputs (reader, number), from files in ``folder``; print a line of JSON per input."""
    for name, group in itertools.groupby(inputs, key=lambda each: each[0]):
        (folder / name).mkdir()
        _read_mutated(name, [number for _, number in group], folder / name)


def _read_mutated(name: str, numbers: list[int], folder: Path) -> None:
    import resource

    from LungTumorSegLib.core.peak_memory import peak_bytes

    reader = READERS[name]()
    seeds = reader.seeds(folder)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    unread = [text for seed in seeds if (text := _outcome(reader, seed)[1])]
    if unread:
        raise ValueError(f"The intact files are not read: {unread}")
    print(json.dumps({"ready": name}), flush=True)  # noqa: T201
    for number in numbers:
        rng = random.Random(f"{name} {number}")
        path = rng.choice(seeds)
        victim = rng.choice(sorted(path.iterdir())) if path.is_dir() else path
        intact = victim.read_bytes()
        victim.write_bytes(mutated(intact, rng))
        outcome, text = _outcome(reader, path)
        victim.write_bytes(intact)
        line = {"reader": name, "number": number, "outcome": outcome, "text": text, "peak_bytes": peak_bytes()}
        print(json.dumps(line), flush=True)  # noqa: T201


def _outcome(reader: Reader, path: Path) -> tuple[str, str]:
    from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
    from LungTumorSegLib.core.texts import printable

    try:
        reader.read(path)
    except (UnusableInput, MachineLimit) as error:
        message = str(error)
        if printable(message) != message or len(message) > MAX_MESSAGE + 2 * len(str(path)):
            return "message", f"{len(message)} characters: {message[:300]!r}"
        return "refused", message
    except BaseException:  # any other exception is a finding
        return "traceback", traceback.format_exc()[-1500:]
    return "read", ""


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Damage ``content`` in one to four places.

    Most gzip files are damaged inside, because otherwise their checksum would reveal the damage before any other check.
    Half of the DICOM files stay well formed, and are damaged in one to four elements.
    """
    if content.startswith(b"\x1f\x8b") and rng.random() < 0.8:
        return gzip.compress(mutated(gzip.decompress(content), rng), 1)
    if content[128:132] == b"DICM" and rng.random() < 0.5:
        return _with_other_elements(content, rng)
    for _ in range(rng.randint(1, 4)):
        content = rng.choice(MUTATIONS)(content, rng)
    return content


def _place(content: bytes, rng: random.Random) -> int:
    """Draw a position, mostly among the first bytes, where headers are."""
    return rng.randrange(max(1, min(len(content), rng.choice((64, 400, 1200, len(content))))))


def _flip(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    return content[:at] + bytes(byte ^ 1 << rng.randrange(8) for byte in content[at : at + 1]) + content[at + 1 :]


def _overwrite(content: bytes, rng: random.Random) -> bytes:
    at, new = (
        _place(content, rng),
        rng.choice([*INTEGERS, rng.randbytes(rng.randint(1, 16)), b"\0\0\xc0\x7f", b"\0\0\x80\x7f"]),
    )
    return content[:at] + new + content[at + len(new) :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    return content[:at] + rng.choice([rng.choice(WORDS), rng.randbytes(rng.randint(1, 64)), b"9" * 5000]) + content[at:]


def _delete(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    return content[:at] + content[at + rng.choice((1, 2, 8, 100)) :]


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: _place(content, rng)]


def _append(content: bytes, rng: random.Random) -> bytes:
    return content + rng.choice([b"\0" * rng.choice((1, 1000, 5_000_000)), content, rng.randbytes(20)])


def _replace_word(content: bytes, rng: random.Random) -> bytes:
    words = [match.span() for match in re.finditer(rb"[\w.+-]+", content[:6000])]
    if not words:
        return _insert(content, rng)
    start, end = rng.choice(words)
    return content[:start] + rng.choice(WORDS) + content[end:]


def _change_lines(content: bytes, rng: random.Random) -> bytes:
    """Repeat, drop or exchange lines within the first 6000 bytes."""
    lines, rest = content[:6000].split(b"\n"), content[6000:]
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(3)
    if change == 0:
        lines[at:at] = [lines[other]] * rng.choice((1, 3, 300))
    elif change == 1:
        del lines[at]
    else:
        lines[at], lines[other] = lines[other], lines[at]
    return b"\n".join(lines) + rest


def _with_other_elements(content: bytes, rng: random.Random) -> bytes:
    """Remove, repeat or replace elements of a DICOM file, at any depth."""
    import pydicom
    from pydicom.dataelem import RawDataElement

    data = pydicom.dcmread(io.BytesIO(content))
    for _ in range(rng.randint(1, 4)):
        parent, tag = rng.choice(_elements(data))
        element, change = parent.get_item(tag), rng.randrange(4)
        if change == 0:
            del parent[tag]
        elif element.VR == "SQ":
            items = list(parent[tag].value)
            parent.add(pydicom.DataElement(tag, "SQ", rng.choice([items[:0], items[:-1], items[::-1], items * 2])))
        else:
            value = rng.choice([*WORDS, *INTEGERS, rng.randbytes(rng.randint(1, 64)), b"1\\2\\3", b"9" * 5000, b""])
            value += b"\0" * (len(value) % 2)
            vr = rng.choice([element.VR, element.VR, "UN"])
            parent[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    written = io.BytesIO()
    try:
        data.save_as(written, enforce_file_format=False)
    except Exception:  # pydicom refuses to write some of these; such a file is damaged byte by byte
        return _overwrite(content, rng)
    return written.getvalue()


def _elements(data: Any) -> list[tuple[Any, Any]]:
    """Return the place of each element, at any depth: the data set that holds it, and its tag."""
    found = [(data, tag) for tag in data.keys()]  # noqa: SIM118
    sequences = [data[tag] for _, tag in found if data.get_item(tag).VR == "SQ"]
    return found + [each for sequence in sequences for item in sequence.value for each in _elements(item)]


MUTATIONS = (
    _flip,
    _overwrite,
    _overwrite,
    _insert,
    _delete,
    _truncate,
    _append,
    _replace_word,
    _replace_word,
    _change_lines,
)


# The readers import their libraries only when they are used, because the parent process needs none.


def _images(*names: str) -> Reader:
    from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
    from LungTumorSegLib.io.headers import check_image_file
    from LungTumorSegLib.io.images import read_ct, read_volume, to_simpleitk
    from SimpleITK import WriteImage
    from volumes import an_oblique_ct, make_ct

    def seeds(folder: Path) -> list[Path]:
        paths = []
        for number, name in enumerate(names):
            paths.append(folder / f"{number}-{name}")
            WriteImage(to_simpleitk(make_ct() if number % 2 else an_oblique_ct()), paths[-1], number > 1)
        return paths

    def read(path: Path) -> None:
        refusals = []
        for each in (check_image_file, read_volume, read_ct):
            try:
                each(path)
            except (UnusableInput, MachineLimit) as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    return Reader(seeds, read)


def _seg_nrrd() -> Reader:
    from LungTumorSegLib.core.terminology import UNSPECIFIED
    from LungTumorSegLib.io.images import to_simpleitk
    from LungTumorSegLib.io.seg_nrrd import write_segmentation
    from LungTumorSegLib.io.segment import Segment
    from LungTumorSegLib.io.segmentations import read_segmentation
    from SimpleITK import WriteImage
    from volumes import make_ct

    def seeds(folder: Path) -> list[Path]:
        ct = make_ct()
        masks = [ct.with_array(ct.array > limit) for limit in (-300, -600, -100)]
        segments = [Segment(f"Tumor {i}", mask, (1, 0, 0), UNSPECIFIED) for i, mask in enumerate(masks)]
        write_segmentation(segments[2:], folder / "one.seg.nrrd")
        write_segmentation(segments, folder / "layers.seg.nrrd")
        WriteImage(to_simpleitk(masks[0]), folder / "labels.nrrd")
        return [folder / name for name in ("one.seg.nrrd", "layers.seg.nrrd", "labels.nrrd")]

    return Reader(seeds, read_segmentation)


def _dicom_series() -> Reader:
    from dicom_series import write_dicom_series
    from LungTumorSegLib.io.images import read_ct
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
    from volumes import make_ct

    def seeds(folder: Path) -> list[Path]:
        syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless)
        for number, syntax in enumerate(syntaxes):
            write_dicom_series(make_ct(), folder / str(number), transfer_syntax=syntax)
        return [folder / str(number) for number in range(len(syntaxes))]

    return Reader(seeds, read_ct)


def _masks(write: Callable[[Path, list[Path], Any], list[Path]]) -> Reader:
    """Return the reader of masks on a DICOM CT; ``write`` writes them from the folder, the slices and the CT."""
    from dicom_series import write_dicom_series
    from LungTumorSegLib.io.images import read_ct
    from LungTumorSegLib.io.segmentations import read_segmentation
    from volumes import make_ct

    cts: list[Any] = []

    def seeds(folder: Path) -> list[Path]:
        files = write_dicom_series(make_ct((9, 16, 16)), folder / "ct")
        cts.append(read_ct(folder / "ct"))
        return write(folder, files, cts[0])

    def read(path: Path) -> None:
        for segment in read_segmentation(path, cts[0]):
            segment.mask.array.sum()  # as far as every caller goes

    return Reader(seeds, read)


def _dicom_seg() -> Reader:
    from dicom_seg_files import write_dicom_seg

    def write(folder: Path, files: list[Path], ct: Any) -> list[Path]:
        segments = [
            ("Tumor 1", "lesion", ct.array > -300),
            ("Left lung", "organ", ct.array < -600),
        ]
        return [write_dicom_seg(folder / "segments.dcm", files, segments)]

    return _masks(write)


def _rtstruct() -> Reader:
    import numpy as np
    from rtstruct_files import write_rtstruct

    def write(folder: Path, _: list[Path], ct: Any) -> list[Path]:
        corners = [(3, 3), (3, 12), (12, 12), (12, 3)]
        square = [ct.index_to_lps(np.array([(level, *each) for each in corners], float)) for level in range(2, 7)]
        return [write_rtstruct(folder / f"{name}.dcm", {name: square, "Lung": square[::2]}) for name in ("GTV", "x")]

    return _masks(write)


def _summary() -> Reader:
    from LungTumorSegLib.lesions.earlier_results import with_known
    from LungTumorSegLib.results.reader import read_summary
    from LungTumorSegLib.results.writer import write_result
    from made_results import a_result

    result = a_result()

    def seeds(folder: Path) -> list[Path]:
        write_result(result, folder / "run", picture=False)
        (folder / "summary.json").write_bytes((folder / "run" / "summary.json").read_bytes())
        return [folder / "summary.json"]

    return Reader(seeds, lambda path: with_known(result.report, read_summary(path)["lesions"]))


def _manifest() -> Reader:
    from LungTumorSegLib.weights.manifest import SHIPPED, Manifest

    def seeds(folder: Path) -> list[Path]:
        model = folder / "model"
        model.mkdir()
        (model / "manifest.json").write_bytes((SHIPPED / "default" / "manifest.json").read_bytes())
        return [model]

    return Reader(seeds, Manifest.read)


def _training_yaml() -> Reader:
    from LungTumorSegLib.training.config import read_config

    def seeds(folder: Path) -> list[Path]:
        import LungTumorSegLib.training

        paths = []
        for source in sorted((Path(LungTumorSegLib.training.__file__).parent / "configs").glob("*.yaml")):
            if source.stem != "second_look":  # has a reader of its own
                paths.append(folder / source.name)
                paths[-1].write_bytes(source.read_bytes())
        return paths

    return Reader(seeds, read_config)


READERS: dict[str, Callable[[], Reader]] = {
    "nifti": lambda: _images("a.nii", "b.nii", "c.nii.gz", "d.nii.gz"),
    "nrrd": lambda: _images("a.nrrd", "b.nhdr", "c.nrrd", "d.nhdr"),
    "metaimage": lambda: _images("a.mha", "b.mhd", "c.mha", "d.mhd"),
    "seg_nrrd": _seg_nrrd,
    "dicom_series": _dicom_series,
    "dicom_seg": _dicom_seg,
    "rtstruct": _rtstruct,
    "summary": _summary,
    "manifest": _manifest,
    "training_yaml": _training_yaml,
}


def _main() -> int:
    parser = argparse.ArgumentParser(description="Give mutated files to a reader.")
    parser.add_argument("reader", choices=sorted(READERS), nargs="?")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--child", type=Path, metavar="FOLDER", help="read the inputs that stdin names, from FOLDER")
    options = parser.parse_args()
    if options.child:
        _child(json.load(sys.stdin), options.child)
        return 0
    if options.reader is None:
        parser.error("a reader must be named")
    findings = fuzz([options.reader], count=options.count, first=options.first)[options.reader]
    print(*findings.failures, sep="\n")  # noqa: T201
    print(dict(findings.outcomes), f"{findings.peak_bytes / 1e6:.0f} MB")  # noqa: T201
    return 1 if findings.failures else 0


if __name__ == "__main__":
    sys.exit(_main())
