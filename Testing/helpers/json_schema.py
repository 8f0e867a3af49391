"""The part of JSON Schema (draft 2020-12) that the schema of summary.json uses."""

from __future__ import annotations

from typing import Any

TYPES = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None), "boolean": bool,
}  # fmt: skip
KNOWN = {
    "$schema", "title", "description", "type", "required", "properties", "items", "enum", "const", "minimum", "minItems", "maxItems",
}  # fmt: skip


def problems(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """Return everything in ``value`` that violates the schema, with its place.

    Args:
        value: A JSON value.
        schema: The schema.
        where: Place of the value, for the messages.

    Returns:
        One message per violation.

    Raises:
        ValueError: The schema has a keyword that this checker does not know.
    """
    if unknown := schema.keys() - KNOWN:
        raise ValueError(f"{where}: {unknown}")
    found = []
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(
            isinstance(value, TYPES[name]) and not (isinstance(value, bool) and name != "boolean") for name in names
        ):
            return [f"{where} is {value!r}, not {' or '.join(names)}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where} is {value!r}, none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{where} is {value!r}, not {schema['const']!r}")
    if "minimum" in schema and isinstance(value, int | float) and value < schema["minimum"]:
        found.append(f"{where} is {value}, below {schema['minimum']}")
    if isinstance(value, dict):
        found += [f"{where} has no {name}" for name in schema.get("required", []) if name not in value]
        for name, part in schema.get("properties", {}).items():
            if name in value:
                found += problems(value[name], part, f"{where}.{name}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{where} has {len(value)} items")
        for index, item in enumerate(value):
            found += problems(item, schema.get("items", {}), f"{where}[{index}]")
    return found
