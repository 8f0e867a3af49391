"""Cases in the working grid, prepared once by the code that inference uses, and read by memory map afterwards.

A case is a folder ``<id>`` with ``hu.npy`` (int16, isolated: air outside the isolation mask), ``label.npy`` (uint8), ``region.npy``
(uint8), ``sites.npz`` and ``case.json``; arrays are (slice, row, column) in canonical axial order. The folder gets its name when it is
complete, so a killed preparation leaves nothing half done.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..core.errors import UnusableInput
from ..core.private_folder import private_folder, remove_left_behind
from ..core.resampling import resample_separable
from ..core.volume import AIR_HU, Array, CTVolume, Grid, Volume
from ..inference.grid import WorkingGrid, make_working_grid
from ..isolation import isolate_lungs

IGNORED = 255
"""Label of voxels that count neither as tumor nor as background."""

MASK_BIT, LUNG_BIT = 1, 2
"""Bits of ``region``: the isolation mask; the lungs."""

HIGHEST_HU = 3071
"""Top of 12-bit CT; stored HU end there (metal reaches higher and means nothing more)."""

BORDER_MM = 5.0
"""Lung voxels this near to the lung's surface are border sites: pleura, fissures' ends, hilum, mediastinum, diaphragm."""

CLOSING_MM = 8.0
"""Radius of the closing that fills vessels and lesions in the lungs; a larger one would fill the angle below the hilum."""

SITES, LESION_SITES = 20_000, 4_000
"""Positions kept a case for lung and border, and a lesion; enough that a run hardly meets one twice."""


CASE_FILES = {"hu.npy", "label.npy", "region.npy", "sites.npz", "case.json"}


@dataclass(frozen=True)
class StoredCase:
    """A prepared case; arrays are opened on first use and stay memory maps."""

    folder: Path
    id: str
    patient: str
    is_phantom: bool
    affine: tuple[tuple[float, ...], ...]

    def __reduce__(self) -> tuple[Callable[[Path], StoredCase], tuple[Path]]:
        """Other processes open the files themselves instead of getting the arrays sent."""
        return load_case, (self.folder,)

    @cached_property
    def hu(self) -> Array:
        """Isolated HU, int16 (slice, row, column)."""
        return self._array("hu")

    @cached_property
    def label(self) -> Array:
        """0 background, 1 ... n lesions, ``IGNORED``; uint8."""
        return self._array("label")

    @cached_property
    def region(self) -> Array:
        """``MASK_BIT`` and ``LUNG_BIT``; uint8."""
        return self._array("region")

    @cached_property
    def sites(self) -> dict[str, Array]:
        """Voxel positions (n, 3): ``lung``, ``border``, and ``lesion_1`` ... for each lesion."""
        with np.load(self.folder / "sites.npz", allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    @property
    def lesion_names(self) -> list[str]:
        """The keys of ``sites`` that belong to lesions."""
        return [name for name in self.sites if name.startswith("lesion_")]

    def working_grid(self, window_hu: tuple[float, float]) -> WorkingGrid:
        """The case as inference sees it; its own grid takes the CT's place."""
        low, high = window_hu
        image = np.clip((self.hu.astype(np.float32) - low) / (high - low), 0, 1)
        affine = np.asarray(self.affine)
        region = Volume((self.region & MASK_BIT) > 0, affine)
        return WorkingGrid(Volume(image, affine), region, Grid(region.shape, affine), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def _array(self, name: str) -> Array:
        return np.asanyarray(np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def load_case(folder: Path) -> StoredCase:
    """A case that ``prepare_case`` wrote."""
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
    """Isolate the lungs of ``ct``, bring it and ``label`` (same grid; 0, 1 ... n, ``IGNORED``) to the working grid, store both.

    Lesion voxels outside the isolation mask cannot be seen and are stored as ``IGNORED``. Raises what ``isolate_lungs`` raises,
    and ValueError where the two grids differ.
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

    def on_grid(mask: Array) -> Array:
        fraction = resample_separable(mask, start=grid.start, step=grid.step, size=grid.image.shape)
        return np.asarray(fraction > 0.5)

    lungs = _close(on_grid(isolation.left_lung.array | isolation.right_lung.array), spacing_mm)
    stored = np.zeros(hu.shape, np.uint8)
    for value in np.unique(label.array[label.array > 0]):
        stored[on_grid(label.array == value)] = value
    stored[(stored > 0) & ~grid.region.array] = IGNORED
    arrays = CaseArrays(hu, stored, grid.region.array, lungs)
    return write_case(folder, arrays, grid.image.affine, patient=patient, is_phantom=is_phantom)


@dataclass(frozen=True, eq=False)
class CaseArrays:
    """A case on its way to the disk, (slice, row, column): ``hu`` int16, ``label`` uint8, isolation ``mask`` and ``lungs`` bool."""

    hu: Array
    label: Array
    mask: Array
    lungs: Array


def write_case(
    folder: Path, arrays: CaseArrays, affine: Array, *, patient: str, is_phantom: bool = False
) -> StoredCase:
    """Store arrays in canonical axial order, with the positions that samples are drawn from; ``folder`` appears when complete."""
    _check_is_case(folder)
    spacing_mm = Volume(arrays.hu, affine).spacing
    prefix = f".{folder.name}-"
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(folder.parent, prefix)
    with private_folder(folder.parent, prefix) as private:
        unfinished = private / folder.name
        unfinished.mkdir()
        np.save(unfinished / "hu.npy", arrays.hu, allow_pickle=False)
        np.save(unfinished / "label.npy", arrays.label, allow_pickle=False)
        region = arrays.mask * np.uint8(MASK_BIT) + arrays.lungs * np.uint8(LUNG_BIT)
        np.save(unfinished / "region.npy", region, allow_pickle=False)
        np.savez(unfinished / "sites.npz", **_find_sites(arrays.lungs, arrays.label, spacing_mm))  # type: ignore[arg-type]
        values = {"id": folder.name, "patient": patient, "is_phantom": is_phantom, "affine": affine.tolist()}
        (unfinished / "case.json").write_text(json.dumps(values), encoding="utf-8")
        if folder.exists():
            folder.rename(private / "old")
        unfinished.rename(folder)
    return load_case(folder)


def _check_is_case(folder: Path) -> None:
    """Raise UnusableInput where ``folder`` is there and holds anything but a prepared case: the cache may be the user's data."""
    if folder.exists() and (not folder.is_dir() or not {path.name for path in folder.iterdir()} <= CASE_FILES):
        raise UnusableInput(f"{folder} holds other files than a prepared case; choose another cache for the training.")


def _close(lungs: Array, spacing_mm: tuple[float, float, float]) -> Array:
    """The lungs with vessels, lesions and dents up to twice ``CLOSING_MM`` filled: where an implant may lie."""
    near = ndimage.distance_transform_edt(~lungs, sampling=spacing_mm) <= CLOSING_MM
    from_far_mm = ndimage.distance_transform_edt(np.pad(near, 1, mode="edge"), sampling=spacing_mm)
    return np.asarray((from_far_mm[1:-1, 1:-1, 1:-1] > CLOSING_MM) | lungs)


def _find_sites(lungs: Array, label: Array, spacing_mm: tuple[float, float, float]) -> dict[str, Array]:
    depth_mm = np.asarray(ndimage.distance_transform_edt(lungs, sampling=spacing_mm))
    sites = {"lung": _some(lungs, SITES), "border": _some((depth_mm > 0) & (depth_mm <= BORDER_MM), SITES)}
    for value in np.unique(label[(label > 0) & (label != IGNORED)]):
        sites[f"lesion_{value}"] = _some(label == value, LESION_SITES)
    return sites


def _some(mask: Array, most: int) -> Array:
    """At most ``most`` positions (n, 3) of the true voxels, the same ones every time."""
    found = np.argwhere(mask).astype(np.int16)
    if len(found) > most:
        found = found[np.sort(np.random.default_rng(0).choice(len(found), most, replace=False))]
    return found
