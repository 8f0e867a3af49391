"""Cases in the working grid, prepared once by the code that inference uses and then read as memory maps.

A case is a folder ``<id>`` with ``hu.npy`` (int16, isolated: air outside the isolation mask), ``label.npy`` (uint8),
``region.npy`` (uint8), ``sites.npz`` and ``case.json``. Arrays are (slice, row, column) in canonical axial order. The
folder gets its name when it is complete, so a killed preparation leaves no incomplete case.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..core.complete_files import complete_folder
from ..core.errors import UnusableInput
from ..core.json_files import write_json
from ..core.resampling import resample_separable
from ..core.volume import AIR_HU, HU, Array, CTVolume, Grid, Mask, Volume
from ..inference.grid import WorkingGrid, make_working_grid
from ..isolation import isolate_lungs
from .walls import wall_sites

IGNORED = 255
"""Label of voxels that count neither as tumor nor as background."""

MASK_BIT, LUNG_BIT = 1, 2
"""Bits of ``region``: the isolation mask and the lungs."""

HIGHEST_HU = 3071
"""Highest stored HU, the top of 12-bit CT; higher values of metal carry no further information."""

BORDER_MM = 5.0
"""Depth up to which lung voxels are border sites, mm: pleura, ends of fissures, hilum, mediastinum, diaphragm."""

CLOSING_MM = 8.0
"""Radius of the closing that fills vessels and lesions in the lungs, mm.

A larger one would fill the angle below the hilum.
"""

SITES, LESION_SITES = 20_000, 4_000
"""Number of positions kept per case for lung and border, and per lesion; a run rarely draws one of them twice."""


CASE_FILES = {"hu.npy", "label.npy", "region.npy", "sites.npz", "case.json"}


@dataclass(frozen=True)
class StoredCase:
    """A prepared case; arrays are opened on first use and stay memory maps.

    Attributes:
        folder: The case's folder.
        id: Name of the case.
        patient: Name of the patient.
        is_phantom: Whether the case is a phantom.
        affine: 4 x 4, from (slice, row, column) to LPS mm.
    """

    folder: Path
    id: str
    patient: str
    is_phantom: bool
    affine: tuple[tuple[float, ...], ...]

    def __reduce__(self) -> tuple[Callable[[Path], StoredCase], tuple[Path]]:
        """Let other processes open the files themselves instead of sending them the arrays."""
        return load_case, (self.folder,)

    @cached_property
    def hu(self) -> HU:
        """Isolated HU, int16 (slice, row, column)."""
        return stored_array(self.folder, "hu")

    @cached_property
    def label(self) -> Array:
        """Labels, uint8 (slice, row, column): 0 background, 1 ... n lesions, ``IGNORED``."""
        return stored_array(self.folder, "label")

    @cached_property
    def region(self) -> Array:
        """Bits ``MASK_BIT`` and ``LUNG_BIT``, uint8 (slice, row, column)."""
        return stored_array(self.folder, "region")

    @cached_property
    def sites(self) -> dict[str, Array]:
        """Voxel positions (n, 3) by name: ``lung``, ``border``, and ``lesion_1`` ... for each lesion."""
        with np.load(self.folder / "sites.npz", allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    @cached_property
    def walls(self) -> dict[str, Array]:
        """The positions ``border`` of ``sites`` by the wall that lies nearest; see ``walls.wall_sites``."""
        spacing_mm = Volume(self.region, np.asarray(self.affine)).spacing
        return wall_sites((self.region & LUNG_BIT) > 0, self.sites["border"].astype(int), spacing_mm)

    @property
    def lesion_names(self) -> list[str]:
        """The keys of ``sites`` that belong to lesions."""
        return [name for name in self.sites if name.startswith("lesion_")]

    def working_grid(self, window_hu: tuple[float, float]) -> WorkingGrid:
        """Return the case as inference sees it, with its own grid in place of the CT's."""
        low, high = window_hu
        image = np.clip((self.hu.astype(np.float32) - low) / (high - low), 0, 1)
        affine = np.asarray(self.affine)
        region = Volume((self.region & MASK_BIT) > 0, affine)
        return WorkingGrid(Volume(image, affine), region, Grid(region.shape, affine), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def stored_array(folder: Path, name: str) -> Array:
    """Return an array of a stored case, which stays on disk until it is used."""
    return np.asanyarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def load_case(folder: Path) -> StoredCase:
    """Load a case that ``prepare_case`` wrote."""
    values = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    return StoredCase(
        folder, values["id"], values["patient"], values["is_phantom"], tuple(map(tuple, values["affine"]))
    )


def prepare_case(
    folder: Path,
    ct: CTVolume,
    label: Volume,
    *,
    patient: str,
    spacing_mm: tuple[float, float, float],
    is_phantom: bool = False,
) -> StoredCase:
    """Isolate the lungs of a CT, resample CT and label to the working grid, and store both.

    Lesion voxels outside the isolation mask are invisible to the network and are stored as ``IGNORED``.

    Args:
        folder: Where to store the case.
        ct: The CT.
        label: Labels on the CT's grid: 0, 1 ... n, ``IGNORED``.
        patient: Name of the patient.
        spacing_mm: Spacing of the working grid (slice, row, column), mm.
        is_phantom: Whether the case is a phantom.

    Returns:
        The stored case.

    Raises:
        ValueError: The two grids differ.
        UnusableInput: The lungs cannot be isolated, or the folder contains files other than a case.
    """
    if not ct.same_grid(label):
        raise ValueError(f"The label of {folder.name} does not lie on its CT's grid.")
    order = ct.canonical_axes()
    ct, label = order.apply(ct), order.apply(label)
    isolation = isolate_lungs(ct)
    grid = make_working_grid(
        isolation.isolated, isolation.mask, spacing_mm=spacing_mm, intensity_range_hu=(AIR_HU, HIGHEST_HU)
    )
    hu = np.rint(grid.image.array * (HIGHEST_HU - AIR_HU) + AIR_HU).astype(np.int16)
    lungs = closed_lungs(_on_grid(isolation.left_lung.array | isolation.right_lung.array, grid), spacing_mm)
    stored = np.zeros(hu.shape, np.uint8)
    for value in np.unique(label.array[label.array > 0]):
        stored[_on_grid(label.array == value, grid)] = value
    stored[(stored > 0) & ~grid.region.array] = IGNORED
    arrays = CaseArrays(hu, stored, grid.region.array, lungs)
    return write_case(folder, arrays, grid.image.affine, patient=patient, is_phantom=is_phantom)


def _on_grid(mask: Mask, grid: WorkingGrid) -> Mask:
    """Return the voxels of the working grid of which a mask of the CT covers more than half."""
    fraction = resample_separable(mask, start=grid.start, step=grid.step, size=grid.image.shape)
    return np.asarray(fraction > 0.5)


@dataclass(frozen=True, eq=False)
class CaseArrays:
    """Arrays (slice, row, column) of a case that is about to be written.

    Attributes:
        hu: Isolated HU, int16.
        label: Labels, uint8.
        mask: The isolation mask, bool.
        lungs: The lungs, bool.
    """

    hu: HU
    label: Array
    mask: Mask
    lungs: Mask


def write_case(
    folder: Path, arrays: CaseArrays, affine: Array, *, patient: str, is_phantom: bool = False
) -> StoredCase:
    """Store arrays in canonical axial order, with the positions from which samples are drawn.

    ``folder`` appears only when it is complete.

    Args:
        folder: Where to store the case; an earlier case there is replaced.
        arrays: The arrays (slice, row, column).
        affine: 4 x 4, from their indices to LPS mm.
        patient: Identifies the patient, whose cases stay in one part of the data.
        is_phantom: Whether the case is a synthetic CT.

    Raises:
        UnusableInput: ``folder`` contains files other than a case.
    """
    _check_is_case(folder)
    spacing_mm = Volume(arrays.hu, affine).spacing
    with complete_folder(folder, replace=True) as unfinished:
        np.save(unfinished / "hu.npy", arrays.hu, allow_pickle=False)
        np.save(unfinished / "label.npy", arrays.label, allow_pickle=False)
        region = arrays.mask * np.uint8(MASK_BIT) + arrays.lungs * np.uint8(LUNG_BIT)
        np.save(unfinished / "region.npy", region, allow_pickle=False)
        np.savez(unfinished / "sites.npz", **_find_sites(arrays.lungs, arrays.label, spacing_mm))  # type: ignore[arg-type]
        values = {"id": folder.name, "patient": patient, "is_phantom": is_phantom, "affine": affine.tolist()}
        write_json(unfinished / "case.json", values)
    return load_case(folder)


def _check_is_case(folder: Path) -> None:
    """Check that ``folder`` may be replaced, because the cache may contain the user's data.

    Raises:
        UnusableInput: ``folder`` exists and contains anything other than a prepared case.
    """
    if folder.exists() and (not folder.is_dir() or not {path.name for path in folder.iterdir()} <= CASE_FILES):
        raise UnusableInput(
            f"{folder} contains files that do not belong to a prepared case; choose another cache folder for the "
            "training."
        )


def closed_lungs(lungs: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Return the lungs with vessels, lesions and dents up to twice ``CLOSING_MM`` filled: the place for implants.

    Args:
        lungs: Both lungs (bool; slice, row, column).
        spacing_mm: Their spacing along the same axes, mm.
    """
    near = ndimage.distance_transform_edt(~lungs, sampling=spacing_mm) <= CLOSING_MM
    from_far_mm = ndimage.distance_transform_edt(np.pad(near, 1, mode="edge"), sampling=spacing_mm)
    return np.asarray((from_far_mm[1:-1, 1:-1, 1:-1] > CLOSING_MM) | lungs)


def _find_sites(lungs: Mask, label: Array, spacing_mm: tuple[float, float, float]) -> dict[str, Array]:
    depth_mm = np.asarray(ndimage.distance_transform_edt(lungs, sampling=spacing_mm))
    sites = {"lung": _some(lungs, SITES), "border": _some((depth_mm > 0) & (depth_mm <= BORDER_MM), SITES)}
    for value in np.unique(label[(label > 0) & (label != IGNORED)]):
        sites[f"lesion_{value}"] = _some(label == value, LESION_SITES)
    return sites


def _some(mask: Mask, most: int) -> Array:
    """Return at most ``most`` positions (n, 3) of the true voxels, the same ones every time."""
    found = np.argwhere(mask).astype(np.int16)
    if len(found) > most:
        found = found[np.sort(np.random.default_rng(0).choice(len(found), most, replace=False))]
    return found
