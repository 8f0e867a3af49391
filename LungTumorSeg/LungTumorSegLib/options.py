"""The options of a run, each defined once: name, default, range, label and help.

The command line, the module's child process, the module's parameter node and summary.json derive from ``OPTIONS``. To
add an option, add a field to ``SegmentOptions`` and ``Settings``, and to the manifest if a model decides it. This
module imports neither numpy nor torch, so that Slicer can import it at start-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from .core.errors import UnusableInput
from .core.option import Option as Option
from .core.option import Thresholds as Thresholds
from .core.texts import quoted
from .inference.stack_length import STACK_SLICES

if TYPE_CHECKING:
    from .weights.manifest import Manifest

DEFAULT_MODEL = "default"
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
BACKENDS = ("auto", "torch", "openvino")

SEG_NRRD, NIFTI, DICOM = "seg.nrrd", "nifti", "dicom"
STL = "stl"
SURFACES = (STL, "obj", "ply")
FORMATS = (SEG_NRRD, NIFTI, DICOM, *SURFACES)
"""Formats in which a result can be written, as the command line names them."""


def _about(kind: type, **more: Any) -> dict[str, Any]:
    """Return the metadata of a field of ``SegmentOptions``: everything in ``Option`` except name and default."""
    return {"kind": kind, **more}


@dataclass(frozen=True)
class SegmentOptions:
    """The choices of a user for a run; None leaves a choice to the model's manifest.

    ``thresholds`` may be given as a pair (slice threshold, voxel threshold), and the folder of a model as a path.
    Each field's metadata holds its label, help and range.

    Raises:
        UnusableInput: If a value is out of range.
    """

    model: str = field(
        default=DEFAULT_MODEL,
        metadata=_about(
            str,
            label="The model",
            help="ID of a model that 'lungtumorseg models' lists, or the path of a model folder",
            metavar="ID",
            parameters=("model",),
        ),
    )
    device: str = field(
        default="auto",
        metadata=_about(
            str,
            label="The device",
            help="where the network runs; auto uses a CUDA graphics card if there is one",
            choices=DEVICES,
            parameters=("device",),
        ),
    )
    precision: str = field(
        default="auto",
        metadata=_about(
            str,
            label="The precision",
            help="number format of the network; auto uses bfloat16 where it is faster",
            choices=PRECISIONS,
        ),
    )
    backend: str = field(
        default="auto",
        metadata=_about(
            str,
            label="The backend",
            help="library that computes the network; openvino, a package of its own, can be faster on some processors; "
            "auto uses torch",
            choices=BACKENDS,
            parameters=("backend",),
        ),
    )
    stride: int | None = field(
        default=None,
        metadata=_about(
            int,
            label="The stride",
            help=f"slices from one stack to the next, 1 (as in the paper) to {STACK_SLICES}; lower values give "
            "steadier results but take longer",
            minimum=1,
            maximum=STACK_SLICES,
            metavar="N",
            parameters=("stride",),
        ),
    )
    thresholds: Thresholds | None = field(
        default=None,
        metadata=_about(
            Thresholds,
            label="The thresholds",
            help="probability that a slice, then a voxel, must exceed; lower values find more lesions and more false "
            "positives",
            metavar=("SLICE", "VOXEL"),
            parameters=("sliceThreshold", "voxelThreshold"),
        ),
    )
    min_lesion_ml: float | None = field(
        default=None,
        metadata=_about(
            float,
            label="The smallest lesion volume (mL)",
            help="smallest lesion volume to report, in mL; lower values report more lesions and more false positives",
            minimum=0,
            maximum=1000,
            metavar="X",
            parameters=("smallestLesionMl",),
        ),
    )
    min_confidence: float | None = field(
        default=None,
        metadata=_about(
            float,
            label="The confidence threshold",
            help="confidence threshold for lesions to report, 0 to 1; lower values find more lesions and more false "
            "positives",
            minimum=0,
            maximum=1,
            metavar="X",
            parameters=("leastConfidence",),
        ),
    )
    mirror: bool | None = field(
        default=None,
        metadata=_about(
            bool,
            label="Mirroring",
            help="also apply the network to each stack mirrored (test-time augmentation); steadier results, but "
            "more time",
            parameters=("mirror",),
        ),
    )
    verify: bool | None = field(
        default=None,
        metadata=_about(
            bool,
            label="The second look",
            help="look at each candidate again with a second network, which drops false positives and refines outlines",
            parameters=("verify",),
        ),
    )

    def __post_init__(self) -> None:
        if isinstance(self.model, PurePath):
            object.__setattr__(self, "model", str(self.model))
        if isinstance(self.thresholds, list | tuple) and len(self.thresholds) == 2:
            object.__setattr__(self, "thresholds", Thresholds(*self.thresholds))
        for option in OPTIONS:
            object.__setattr__(self, option.name, option.checked(getattr(self, option.name)))

    @classmethod
    def of(cls, options: SegmentOptions | Mapping[str, Any] | None = None, /, **more: Any) -> SegmentOptions:
        """Return ``options`` with the changes in ``more``; a value of None means no choice.

        Raises:
            UnusableInput: If ``options`` has another type, an option is unknown or a value is out of range.
        """
        if options is not None and not isinstance(options, Mapping | SegmentOptions):
            raise UnusableInput(f"The options must be SegmentOptions or a dict, not {quoted(options)}.")
        given = dict(options) if isinstance(options, Mapping) else vars(options) if options is not None else {}
        chosen = {name: value for name, value in {**given, **more}.items() if value is not None}
        unknown = [name for name in chosen if name not in OPTION]
        if unknown:
            raise UnusableInput(f"There is no option {quoted(unknown[0])}; the options are {', '.join(OPTION)}.")
        return cls(**chosen)

    def arguments(self) -> list[str]:
        """Return the choices that differ from the defaults as arguments of ``lungtumorseg segment``."""
        return [text for option in OPTIONS for text in option.arguments(getattr(self, option.name))]

    def settled(self, manifest: Manifest) -> Settings:
        """Return these choices, completed with the values of the manifest."""
        chosen = {option.name: getattr(self, option.name) for option in OPTIONS}
        decided = {name: getattr(manifest, name) if value is None else value for name, value in chosen.items()}
        return Settings(**{**decided, "model": manifest.id})


OPTIONS: tuple[Option, ...] = tuple(Option(f.name, default=f.default, **f.metadata) for f in fields(SegmentOptions))
"""All options of a run, in the order in which the help and summary.json list them."""

OPTION: Mapping[str, Option] = {option.name: option for option in OPTIONS}
"""All options of a run by name."""


@dataclass(frozen=True)
class Settings:
    """The complete settings of a run, as listed under ``options`` in summary.json.

    See ``SegmentOptions`` for the meaning of the fields.
    """

    model: str
    device: str
    precision: str
    backend: str
    stride: int
    thresholds: Thresholds
    min_lesion_ml: float
    min_confidence: float
    mirror: bool
    verify: bool

    @property
    def in_words(self) -> str:
        """Return the settings in words for the report: the model and its numbers."""
        steps = ", test-time augmentation (mirroring)" if self.mirror else ""
        steps += ", second look" if self.verify else ""
        limits = f"lesions of at least {self.min_lesion_ml:g} mL and a confidence of at least {self.min_confidence:g}"
        return (
            f"{self.model} (slice threshold {self.thresholds.gate:g}, voxel threshold {self.thresholds.voxel:g}, "
            f"stride {self.stride}{steps}; {limits})"
        )


def usual_values(manifest: Manifest) -> dict[str, Any]:
    """Return the values, by option name, that a run with a model uses if the user chooses none."""
    return {
        option.name: getattr(manifest, option.name) if option.default is None else option.default for option in OPTIONS
    }
