"""Write summary.schema.json and followup.schema.json from the types of these files, and the table of columns.

Run ``python Testing/tools/write_result_schemas.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, NotRequired, get_args, get_origin, is_typeddict

from LungTumorSegLib.core.csv_tables import CASE_COLUMN
from LungTumorSegLib.followup import followup_types
from LungTumorSegLib.lesions.columns import COLUMNS
from LungTumorSegLib.results import summary_types

SUMMARY = Path(summary_types.__file__).with_name("summary.schema.json")
FOLLOW_UP = Path(followup_types.__file__).with_name("followup.schema.json")

CONTENTS: dict[Path, tuple[Any, str]] = {
    SUMMARY: (summary_types.Summary, "summary.json of lungtumorseg segment and measure, and of what the module saves"),
    FOLLOW_UP: (followup_types.FollowUpData, "followup.json of lungtumorseg compare"),
}
"""The type and the title of each schema."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DESCRIPTION = (
    "Lengths in mm, volumes in mL, intensities in HU, points as (x, y, z) LPS in mm; null where a value is not known. "
    "Later versions may add properties; a changed meaning raises schema_version."
)

NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type: a TypedDict, list, dict, Literal, union with None, or simple type."""
    if is_typeddict(kind):
        columns = {column.name: column.kind for column in COLUMNS} if kind is summary_types.LesionEntry else {}
        properties = {name: schema_of(value) for name, value in {**columns, **kind.__annotations__}.items()}
        required = [name for name in properties if name in columns or name in kind.__required_keys__]
        return {"type": "object", "required": required, "properties": properties}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is NotRequired:
        return schema_of(arguments[0])
    if origin is Annotated:
        limits: dict[str, Any] = arguments[1]
        return schema_of(arguments[0]) | limits
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is dict:
        return {"type": "object"}
    if NoneType in arguments:
        return _or_null(schema_of(arguments[0]))
    return {"type": NAMES[kind]}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    return schema | {"type": [schema["type"], "null"]}


def text(schema: Path) -> str:
    """Return the content of one of the schemas."""
    kind, title = CONTENTS[schema]
    head = {"$schema": DIALECT, "title": title, "description": DESCRIPTION}
    return json.dumps(head | schema_of(kind), indent=2) + "\n"


PAGE = Path(__file__).parents[2] / "docs/reference/files.md"
HEADING, HEAD = "## Columns of lesions.csv", "| column | unit | meaning |\n|---|---|---|\n"


def columns_page(page: str) -> str:
    """Return the page about files with its table of the columns of lesions.csv updated."""
    before, after = page.split(HEADING)
    intro, old = after.split(HEAD, 1)
    kept = old[old.index(f"| `{CASE_COLUMN}` |") :]
    units = (column.unit.replace("2", "²") if "m2" in column.unit else column.unit for column in COLUMNS)
    rows = (f"| `{column.name}` | {unit} | {column.meaning} |\n" for column, unit in zip(COLUMNS, units, strict=True))
    return before + HEADING + intro + HEAD + "".join(rows).replace("|  |", "| |") + kept


if __name__ == "__main__":
    PAGE.write_text(columns_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    for path in CONTENTS:
        path.write_text(text(path), encoding="utf-8")
