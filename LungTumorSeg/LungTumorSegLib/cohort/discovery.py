"""Find the chest CTs in a folder: image files, and one CT series per DICOM study."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import UnusableInput
from ..core.texts import shown
from ..io.dicom_folder import is_named_as_slice, unpacked_name
from ..io.dicom_start import is_dicom_file
from ..io.file_suffixes import ARCHIVE_SUFFIXES, IMAGE_SUFFIXES, SEGMENTATION_SUFFIX, has_suffix, without_suffix
from ..io.plausibility import MIN_SLICES
from ..phantom.truth import PHANTOM, PHANTOM_FILES
from ..results.contents import FILES_KEY, ISOLATION_FILE, MAP_FILES, SUMMARY_FILE
from ..results.mark import read_json_object, read_mark
from .items import Item
from .phases import phase_items

if TYPE_CHECKING:
    from ..io.dicom_values import DicomHeader

Study = tuple[str, str]
"""What tells studies apart: PatientID and StudyInstanceUID, neither of which is ever written.

Where anonymization removed the StudyInstanceUID, the folder stands for it, so that no patient is taken for a series of
another one.
"""


def find_items(root: Path, output: Path | None) -> list[Item]:
    """Return one item per image file and per DICOM study below ``root``, sorted by path.

    Of several CT series of a study, the one with the most slices is taken; a note states how many were not. A folder
    that cannot be opened, one with damaged, packed or incomplete DICOM files, and a subfolder of ``root`` with DICOM
    files but without a CT, become items too, as packed and incomplete image files and archives do, so that their row
    states the reason. Hidden files, segmentations, archives beside what was unpacked from them, and files that
    LungTumorSeg wrote are passed over.

    Args:
        root: The folder to search.
        output: The output folder of the cohort, which is not searched.
    """
    root = root.absolute()
    found = _search(root, output)
    studies = list(_studies(found.series, root))
    items = [Item(without_suffix(_name(path, root)), path, _patient(path, root)) for path in found.images] + studies
    unread = _unread_folders(found, studies, items, root)
    items += [Item(_name(folder, root), folder, _patient(folder, root)) for folder in unread]
    items += [_item_of_archive(path, root) for path in found.archives]
    return sorted(items, key=lambda item: (str(item.path), item.of_4d or item.series))


def check_hides_no_ct(output: Path, root: Path) -> None:
    """Check that an output folder below ``root``, which is not searched, contains no CT of the cohort.

    Raises:
        UnusableInput: If it contains one.
    """
    if not output.is_dir() or not output.resolve().is_relative_to(root.resolve()):
        return
    mark = read_mark(output)
    is_ours = mark is not None and mark.files
    hidden = [] if is_ours else find_items(output, None)
    if hidden:
        raise UnusableInput(
            f"The output folder {shown(output)} contains the CT {shown(hidden[0].path)}, but results and CTs must not "
            "be in the same folder; choose another output folder."
        )


@dataclass
class _Found:
    """What a search has found.

    Attributes:
        images: Image files.
        archives: Archives that lie there packed only.
        series: Headers of CT slices by study and series.
        dicom_folders: Folders with DICOM files.
        damaged: Folders that cannot be opened, or with DICOM files that are damaged, packed or incomplete.
    """

    images: list[Path] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    series: dict[tuple[Study, str], list[DicomHeader]] = field(default_factory=lambda: defaultdict(list))
    dicom_folders: list[Path] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)

    def add_dicom(self, path: Path, folder: Path) -> None:
        """Add a file, if it is DICOM."""
        try:
            if not is_dicom_file(path):
                if is_named_as_slice(path):
                    self.damaged.append(folder)
                return
            from ..io.dicom_files import ct_header  # It imports pydicom, which only DICOM needs.

            self.dicom_folders.append(folder)
            header = ct_header(path)
            if header is not None:
                study = (header.text("PatientID"), header.text("StudyInstanceUID") or str(folder))
                self.series[study, header.text("SeriesInstanceUID")].append(header)
        except (UnusableInput, OSError):
            self.damaged.append(folder)


def _search(root: Path, output: Path | None) -> _Found:
    """Search a folder; the arguments are those of ``find_items``."""
    found = _Found()
    for folder, files in _folders(root, output, found.damaged):
        for path in files:
            if _is_image(path):
                found.images.append(path)
            elif _is_archive(path):
                found.archives.append(path)
            else:
                found.add_dicom(path, folder)
    return found


def _unread_folders(found: _Found, studies: Sequence[Item], items: Sequence[Item], root: Path) -> list[Path]:
    """Return the folders that become items so that their row states why there is no CT.

    They are the damaged folders that do not belong to a study, and the subfolders of ``root`` with DICOM files in which
    there is neither an item nor such a folder.

    Args:
        found: What the search has found.
        studies: The items of the DICOM studies.
        items: These and the items of the image files.
        root: The folder that was searched.
    """
    damaged = [each for each in found.damaged if not any(item.path in (each, *each.parents) for item in studies)]
    known = [*damaged, *(item.path for item in items)]
    tops = [_top(folder, root) for folder in found.dicom_folders]
    without_ct = [each for each in tops if not any(each in (path, *path.parents) for path in known)]
    return list(dict.fromkeys([*damaged, *without_ct]))


def _folders(root: Path, output: Path | None, unopened: list[Path]) -> Iterator[tuple[Path, list[Path]]]:
    """Yield each folder with the files that may belong to a CT; ``unopened`` receives folders that cannot be opened."""
    entered = set() if output is None else {os.path.realpath(output)}

    def refused(error: OSError) -> None:
        unopened.append(Path(error.filename))

    for where, names, files in os.walk(root, followlinks=True, onerror=refused):
        real = os.path.realpath(where)
        if real in entered:
            names[:] = []
            continue
        entered.add(real)
        names[:] = sorted(name for name in names if not name.startswith("."))
        folder = Path(where)
        own = _own_files(folder)
        visible = [name for name in sorted(files) if not name.startswith(".") and name not in own]
        paths = [folder / name for name in visible]
        yield folder, [path for path in paths if not has_suffix(unpacked_name(path).name, [SEGMENTATION_SUFFIX])]


def _is_image(path: Path) -> bool:
    """Return whether a file has the suffix of an image; a packed or incomplete one counts if it is not there whole."""
    if has_suffix(path.name, IMAGE_SUFFIXES):
        return True
    whole = unpacked_name(path)
    return has_suffix(whole.name, IMAGE_SUFFIXES) and not whole.exists()


def _is_archive(path: Path) -> bool:
    """Return whether a file is an archive; one beside a file or folder that was unpacked from it does not count."""
    if not has_suffix(path.name, ARCHIVE_SUFFIXES) or is_named_as_slice(path):
        return False
    return not path.with_name(without_suffix(path.name, ARCHIVE_SUFFIXES)).exists()


def _item_of_archive(path: Path, root: Path) -> Item:
    """Return an item whose row states that the archive was not searched."""
    return Item(
        without_suffix(_name(path, root), ARCHIVE_SUFFIXES),
        path,
        _patient(path, root),
        problem=f"{shown(path)} is an archive, which is not searched; unpack it if it contains a CT.",
    )


def _own_files(folder: Path) -> set[str]:
    """Return the files in a folder that LungTumorSeg wrote, except the CT of a phantom."""
    mark = read_mark(folder)
    if mark is None or not mark.files:
        return _maps_of_copied_result(folder)
    own = set(mark.files)
    return own - ({PHANTOM_FILES[0]} if PHANTOM_FILES[0] in mark.names_of(PHANTOM) else set())


def _maps_of_copied_result(folder: Path) -> set[str]:
    """Return the images, except a CT, that the record of a run names, for a result copied without its hidden mark."""
    records = [read_json_object(folder / name) for name in (SUMMARY_FILE, ISOLATION_FILE)]
    named = [record.get(FILES_KEY) for record in records if "software_version" in record]
    return {name for name in MAP_FILES if any(isinstance(names, list) and name in names for names in named)}


def _studies(series: Mapping[tuple[Study, str], list[DicomHeader]], root: Path) -> Iterator[Item]:
    """Yield the item of each study, its series with the most slices; of a 4D CT, the item of each phase."""
    if not series:
        return
    from ..io.dicom_phases import phases_of, series_as_phases  # It imports pydicom, which only DICOM needs.

    studies: dict[Study, dict[str, list[DicomHeader]]] = defaultdict(dict)
    for (study, uid), headers in series.items():
        studies[study][uid] = headers
    for found in studies.values():
        if phases := series_as_phases(found.values()):
            headers = [header for each in phases.values() for header in each]
            whole = replace(_item(headers, root), series=headers[0].text("SeriesInstanceUID"))
            for item, members in zip(_items_of(whole, phases), phases.values(), strict=True):
                yield replace(item, series=members[0].text("SeriesInstanceUID"), phase_number=None)
            continue
        headers = max(found.values(), key=lambda each: (len(each), each[0].text("SeriesInstanceUID")))
        others = sum(len(each) >= MIN_SLICES for each in found.values() if each is not headers)
        note = f"{others} other CT series of the study not segmented" if others else ""
        item = replace(_item(headers, root), series=headers[0].text("SeriesInstanceUID"), note=note)
        yield from _items_of(item, phases_of(headers)) or [item]


def _item(headers: list[DicomHeader], root: Path) -> Item:
    """Return an item with the files of slices."""
    path = Path(os.path.commonpath([header.path.parent for header in headers]))
    return Item(_name(path, root), path, _patient(path, root), files=_files(headers))


def _items_of(item: Item, phases: Mapping[str, list[DicomHeader]]) -> list[Item]:
    """Return one item per phase of a 4D CT, each with its files."""
    items = phase_items(item, list(phases))
    return [replace(each, files=_files(headers)) for each, headers in zip(items, phases.values(), strict=True)]


def _files(headers: list[DicomHeader]) -> tuple[Path, ...]:
    return tuple(sorted(header.path for header in headers))


def _name(path: Path, root: Path) -> str:
    """Return the path below ``root`` as one word."""
    return "-".join(path.relative_to(root).parts) or root.name


def _patient(path: Path, root: Path) -> str:
    """Return the name of the subfolder of ``root`` in which a CT lies; "" if it lies in ``root`` itself."""
    parts = path.relative_to(root).parts
    return parts[0] if len(parts) > 1 or (parts and path.is_dir()) else ""


def _top(folder: Path, root: Path) -> Path:
    parts = folder.relative_to(root).parts
    return root / parts[0] if parts else root
