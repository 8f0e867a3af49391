"""The entries of followup.json, as types.

``followup.schema.json`` is generated from these types by ``Testing/tools/write_result_schemas.py``. The second argument
of ``Annotated`` is what JSON Schema says beyond the type. Annotations are not postponed here, because they are read.
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from ..core.lesion_words import Density, Side
from ..results.summary_types import Count, Quantity
from .recist import Category

Share = Annotated[float, {"minimum": 0, "maximum": 1}]
ShareOrNull = Annotated[float | None, {"minimum": 0, "maximum": 1}]
Size = Annotated[Literal["stable", "grown", "shrunk"] | None, {"description": "by the total volume"}]
Range = Annotated[
    list[float | None] | None,
    {"minItems": 2, "maxItems": 2, "description": "fastest and slowest, 5th and 95th percentile; null if unlimited"},
]
Place = Annotated[
    list[float] | None,
    {
        "minItems": 3,
        "maxItems": 3,
        "description": "center in the later CT, LPS mm; of a lesion that is gone, where it would be",
    },
]
EarlierPlace = Annotated[
    list[float] | None,
    {
        "minItems": 3,
        "maxItems": 3,
        "description": "center in the earlier CT, LPS mm; of a new lesion, where it would have been",
    },
]
Pair = Annotated[list[str], {"minItems": 2, "maxItems": 2, "description": "earlier and later segment"}]


class PieceEntry(TypedDict):
    """The measures of one segment of one examination; null where unknown."""

    segment: str
    side: Side | None
    volume_ml: Quantity
    volume_p5_ml: float | None
    volume_p95_ml: float | None
    long_axis_mm: Quantity
    short_axis_mm: Quantity
    mean_hu: float | None
    solid_ml: float | None
    density: Density | None
    mass_mg: float | None
    tracking_uid: Annotated[
        str | None, {"description": "DICOM Tracking UID; a later segment inherits that of the earlier one"}
    ]


class ClassEntry(TypedDict):
    """Size and growth classes to look up; no advice."""

    mean_diameter_mm: Quantity
    lung_rads_2022_size: str
    lung_rads_2022_growth: str | None
    fleischner_2017_size: str
    fleischner_2017_volume: str


class TrackEntry(TypedDict):
    """A lesion over time."""

    id: str
    status: Literal["stable", "grown", "shrunk", "new", "gone", "split", "merged"]
    size_status: Size
    match_confidence: ShareOrNull
    merged_ids: list[str]
    earlier: list[PieceEntry]
    later: list[PieceEntry]
    volume_earlier_ml: Quantity
    volume_later_ml: Quantity
    volume_change_ml: float
    volume_change_percent: float | None
    doubling_time_days: float | None
    doubling_time_range_days: Range
    long_axis_earlier_mm: Quantity
    long_axis_later_mm: Quantity
    long_axis_change_mm: float
    mean_hu_change: float | None
    solid_change_ml: float | None
    mass_change_mg: float | None
    later_probability: ShareOrNull
    size_and_growth_class: ClassEntry | None
    place_lps_mm: Place
    earlier_place_lps_mm: EarlierPlace
    recist_target: bool
    volumes_ml: Annotated[
        list[Quantity], {"description": "total volume in each examination, oldest first; 0 if absent"}
    ]
    returned: Annotated[bool, {"description": "absent in the earlier examination, but not in one before it"}]
    later_in_view: Annotated[bool, {"description": "whether the later CT shows its place"}]


class RegistrationEntry(TypedDict):
    """How the last two examinations were aligned."""

    overlap: Share
    residual_mm: Quantity
    residual_p95_mm: Quantity
    landmarks: Count
    residual_of: Literal["landmarks", "lung surfaces"]
    found_share: Annotated[
        float | None,
        {
            "minimum": 0,
            "maximum": 1,
            "description": "share of the vessels looked up that are in both CTs; null where too few were looked up",
        },
    ]
    affine_to_earlier: Annotated[
        list[list[float]],
        {
            "minItems": 4,
            "maxItems": 4,
            "description": "4 x 4, from later to earlier points, LPS mm, without the displacement",
        },
    ]


class BurdenEntry(TypedDict):
    """The lesions of one examination together."""

    lesions: Count
    volume_ml: Quantity
    by_side_ml: dict[str, Any]
    largest_distance_mm: Quantity


class PastResponse(TypedDict):
    """The response at one examination."""

    category: Category
    sum_mm: float | None


class ResponseEntry(TypedDict):
    """The response by RECIST 1.1; sums of diameters in mm."""

    category: Category
    rules: list[str]
    sum_mm: float | None
    baseline_sum_mm: float | None
    smallest_sum_mm: float | None
    targets: Annotated[list[str], {"description": "ids of the target lesions, largest first"}]
    history: NotRequired[
        Annotated[
            list[PastResponse], {"description": "at each examination after the first, oldest first; the last is this"}
        ]
    ]


class FollowUpData(TypedDict):
    """The content of followup.json."""

    schema_version: Literal[1]
    software_version: str
    case: NotRequired[Annotated[str, {"description": "id of the case, if one was given"}]]
    warnings: list[str]
    days: Annotated[float | None, {"description": "between the last two examinations"}]
    dates: Annotated[list[str | None], {"description": "of all examinations, oldest first, YYYY-MM-DD"}]
    registration: RegistrationEntry
    burden: Annotated[list[BurdenEntry], {"description": "one per examination, oldest first"}]
    lesions: list[TrackEntry]
    recist_1_1: ResponseEntry
    volume_category: Category | None
    notice: str
    links: Annotated[list[Pair], {"description": "linked by hand: the same lesion"}]
    unlinks: Annotated[list[Pair], {"description": "unlinked by hand: not the same lesion"}]
