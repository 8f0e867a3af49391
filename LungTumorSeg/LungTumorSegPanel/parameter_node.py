"""The parameters that the panel shows and the scene stores."""

from enum import Enum
from typing import Annotated

from LungTumorSegLib.mrml.upgrade import VERSION
from LungTumorSegLib.options import OPTION, Thresholds
from slicer import vtkMRMLScalarVolumeNode as VolumeNode
from slicer import vtkMRMLSegmentationNode as SegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class Device(Enum):
    """Device on which the network runs; the values are those of the command line."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    def label(self) -> str:
        """Return the text for the selector."""
        return {"auto": _("Automatic"), "cpu": _("CPU"), "cuda": _("Graphics card (CUDA)")}[self.value]


class Backend(Enum):
    """Library that computes the network; the values are those of the command line."""

    AUTO = "auto"
    TORCH = "torch"
    OPENVINO = "openvino"

    def label(self) -> str:
        """Return the text for the selector."""
        return {"auto": _("Automatic"), "torch": _("PyTorch"), "openvino": _("OpenVINO")}[self.value]


def _range(name: str) -> WithinRange:
    return WithinRange(OPTION[name].minimum, OPTION[name].maximum)


@parameterNodeWrapper
class LungTumorSegParameterNode:
    """Parameters that the panel shows and the scene stores.

    ``LungTumorSegLogic.getParameterNode`` sets the defaults from the manifest of the model.
    """

    inputVolume: VolumeNode
    outputSegmentation: SegmentationNode
    model: str = ""
    device: Device = Device.AUTO
    backend: Backend = Backend.AUTO
    sliceThreshold: Annotated[float, WithinRange(0, 1)] = Thresholds().gate
    voxelThreshold: Annotated[float, WithinRange(0, 1)] = Thresholds().voxel
    stride: Annotated[int, _range("stride")] = 1
    mirror: bool = False
    verify: bool = False
    smallestLesionMl: Annotated[float, _range("min_lesion_ml")] = 0.0
    leastConfidence: Annotated[float, _range("min_confidence")] = 0.0
    loadProbability: bool = True
    paintInside: bool = False
    version: int = VERSION
