"""The entries of summary.json, as types.

``summary.schema.json`` is generated from these types by ``Testing/tools/write_result_schemas.py``. The second argument
of
``Annotated`` is what JSON Schema says beyond the type. Annotations are not postponed here, because they are read.
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from ..core.lesion_words import Counted, Side, ZoneName

Count = Annotated[int, {"minimum": 0}]
Quantity = Annotated[float, {"minimum": 0}]
StoredPoint = Annotated[list[float], {"minItems": 3, "maxItems": 3}]
Ends = Annotated[list[StoredPoint], {"minItems": 2, "maxItems": 2, "description": "end points, LPS mm"}]


CHECKSUM = (
    "checksum of the CT's voxels: HU as int16 in canonical axes, so that it depends neither on file format nor on axis "
    "order"
)


class LesionEntry(TypedDict):
    """A lesion beyond its columns (``lesions.columns``): the rulers, and what a person did in the module."""

    long_axis_lps_mm: Ends
    short_axis_lps_mm: Ends
    correction: NotRequired[
        Annotated[
            Literal["", "corrected", "added"],
            {"description": "what a person did to the outline; only in what the module saves"},
        ]
    ]
    review: NotRequired[Literal["", "confirmed", "rejected"]]
    network_volume_ml: NotRequired[Annotated[float | None, {"description": "before the correction"}]]
    segment_id: NotRequired[str]


class LungsEntry(TypedDict):
    """The volumes of the lungs, mL."""

    left_ml: Quantity
    right_ml: Quantity


class PlaceEntry(TypedDict):
    """The number of lesions in one zone of one lung."""

    side: Side
    zone: ZoneName
    count: Counted


class SpreadEntry(TypedDict):
    """The spread of all lesions."""

    count: Count
    burden_ml: Quantity
    lung_ml: float | None
    burden_percent: float | None
    largest_distance_mm: Quantity
    places: list[PlaceEntry]


class MarginEntry(TypedDict):
    """A margin around a lesion."""

    number: Counted
    segment: str
    distance_mm: Quantity
    volume_ml: Quantity


class RejectedEntry(TypedDict):
    """A lesion that a person has rejected; it has the other values of a lesion too."""

    segment: str
    volume_ml: float
    review: Literal["rejected"]


class RemovedEntry(TypedDict):
    """A lesion that the network found and a person removed."""

    segment_id: str
    segment: str
    network_volume_ml: float | None


class Summary(TypedDict):
    """The content of summary.json."""

    schema_version: Literal[1]
    warnings: list[str]
    message: str
    lungs: LungsEntry | None
    lesions: Annotated[list[LesionEntry], {"description": "largest first"}]
    notice: str
    software_version: NotRequired[str]
    case: NotRequired[Annotated[str, {"description": "id of the case, if one was given"}]]
    segmented_with: NotRequired[
        Annotated[str, {"description": "software_version of the run whose segmentation was measured again"}]
    ]
    model: NotRequired[str]
    weights_sha256: NotRequired[str]
    options: NotRequired[dict[str, Any]]
    device: NotRequired[str]
    precision: NotRequired[str]
    backend: NotRequired[Annotated[str, {"description": "library that computed the network: torch or openvino"}]]
    ct_sha256: NotRequired[Annotated[str, {"description": CHECKSUM}]]
    spread: NotRequired[SpreadEntry]
    margins: NotRequired[list[MarginEntry]]
    seconds: NotRequired[dict[str, Any]]
    files: NotRequired[list[str]]
    rejected: NotRequired[
        Annotated[list[RejectedEntry], {"description": "lesions that a person has rejected, like those in lesions"}]
    ]
    removed: NotRequired[
        Annotated[list[RemovedEntry], {"description": "lesions that the network found and a person removed"}]
    ]
