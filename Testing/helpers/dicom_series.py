"""DICOM series from volumes, for tests: plain or compressed, with every defect that a scanner or an archive can add."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from LungTumorSegLib.core.volume import Volume
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, JPEGLosslessSV1, generate_uid

Edit = Callable[[Dataset, int], None]


def write_dicom_series(
    volume: Volume,
    folder: str | Path,
    *,
    transfer_syntax: UID = ExplicitVRLittleEndian,
    series_uid: str | None = None,
    description: str = "Chest",
    slope: float = 1.0,
    intercept: float = -1024.0,
    patient_position: str = "HFS",
    edit: Edit | None = None,
    skip: tuple[int, ...] = (),
    suffix: str = ".dcm",
) -> list[Path]:
    """Write each slice of a volume to a file.

    Args:
        volume: A Volume of HU.
        folder: Where to write.
        transfer_syntax: Uncompressed, JPEG Lossless, or one that pydicom encodes.
        series_uid: SeriesInstanceUID; by default a new one.
        description: SeriesDescription.
        slope: Rescale slope; values are stored as (HU - intercept) / slope, 16 bits signed.
        intercept: Rescale intercept.
        patient_position: PatientPosition.
        edit: Called as ``edit(dataset, slice_index)``; it may change any header before the file is saved.
        skip: Indices of slices that are not written.
        suffix: Suffix of the file names.

    Returns:
        The paths, in slice order.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    series_uid = series_uid or generate_uid()
    frame_uid, study_uid = generate_uid(), generate_uid()
    stored = np.rint((volume.array.astype(np.float32) - intercept) / slope).astype(np.int16)
    paths = []
    for index, plane in enumerate(stored):
        if index in skip:
            continue
        dataset = _slice(volume, index, plane, slope, intercept)
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = (
            series_uid,
            study_uid,
            frame_uid,
        )
        dataset.SeriesDescription, dataset.PatientPosition = description, patient_position
        if edit:
            edit(dataset, index)
        if transfer_syntax == JPEGLosslessSV1:
            _compress_by_gdcm(dataset, folder / "compressed.dcm")
        elif transfer_syntax.is_encapsulated:
            dataset.compress(transfer_syntax, generate_instance_uid=False)
        else:
            dataset.file_meta.TransferSyntaxUID = transfer_syntax
        # Names count down, so that no code can rely on their order.
        paths.append(folder / f"{len(stored) - index:04d}{suffix}")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _slice(volume: Volume, index: int, plane: np.ndarray, slope: float, intercept: float) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID, dataset.InstanceNumber = "Test^Series", "test", index + 1
    _, row_mm, column_mm = volume.spacing
    _, row_axis, column_axis = volume.direction.T
    dataset.ImagePositionPatient = _decimal(volume.index_to_lps((index, 0, 0)))
    dataset.ImageOrientationPatient = _decimal([*column_axis, *row_axis])
    dataset.PixelSpacing = _decimal([row_mm, column_mm])
    dataset.SliceThickness = _decimal([volume.spacing[0]])[0]
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = (
        _decimal([slope])[0],
        _decimal([intercept])[0],
        "HU",
    )
    dataset.Rows, dataset.Columns = plane.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = np.ascontiguousarray(plane).tobytes()
    return dataset


def _compress_by_gdcm(dataset: FileDataset, temporary: Path) -> None:
    """Compress as JPEG Lossless, which most archives use and pydicom cannot encode."""
    pixels = np.frombuffer(dataset.PixelData, np.int16).reshape(dataset.Rows, dataset.Columns)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(temporary))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(sitk.GetImageFromArray(pixels))
    encoded = pydicom.dcmread(temporary)
    temporary.unlink()
    dataset.PixelData, dataset.file_meta.TransferSyntaxUID = encoded.PixelData, encoded.file_meta.TransferSyntaxUID
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"


def _decimal(numbers: Iterable[float]) -> list[str]:
    """Return decimal strings of at most 16 characters, the DICOM limit."""
    return [pydicom.valuerep.format_number_as_ds(float(number)) for number in numbers]
