"""How configurations are read: the kinds of values, YAML files, and one sentence about each mistake.

A configuration is a YAML file, read into frozen dataclasses; every mistake is reported with its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, Strict, StringConstraints, TypeAdapter, ValidationError

from ..core.errors import MachineLimit, UnusableInput
from ..core.json_files import reason
from ..core.texts import bounded, printable, quoted
from ..inference.stack_length import STACK_SLICES

C = TypeVar("C")


class WrongConfig(UnusableInput):
    """A configuration contains a mistake, which every process that reads it finds."""


MOST_BYTES = 4 * 1024**2
"""Largest configuration file, bytes; one that lists 1,000 cases has 300 kB."""

Text = Annotated[str, StringConstraints(strict=True, max_length=4096)]
Whole = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
Count = Annotated[int, Strict(), Field(ge=1, le=10**8)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Positive = Annotated[float, Strict(), Field(allow_inf_nan=False, gt=0, le=1e6)]
NotNegative = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0, le=1e6)]
Share = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0, le=1)]
OpenShare = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0, lt=1)]
Spacing = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0.1, le=50)]
Stride = Annotated[int, Strict(), Field(ge=1, le=STACK_SLICES)]
Batch = Annotated[int, Strict(), Field(ge=1, le=1024)]
Threads = Annotated[int, Strict(), Field(ge=0, le=4096)]
Width = Annotated[int, Strict(), Field(ge=1, le=512)]
Precision = Literal["auto", "float32", "bfloat16"]
InPlane = Annotated[int, Strict(), Field(ge=8, le=1024, multiple_of=8)]

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class SomeOf:
    """Annotates a mapping that holds some settings of a section, so that the schema for editors describes them."""

    def __init__(self, kind: type) -> None:
        """Take the class of the section, all of whose settings have defaults."""
        self._kind = kind

    def __get_pydantic_json_schema__(self, _: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of the section instead of that of the mapping."""
        kind: Any = self._kind
        return handler(_adapter(kind).core_schema)


def config_schema(kind: type) -> dict[str, Any]:
    """Return the JSON Schema of a kind of configuration, for editors.

    ``configs/training.schema.json`` and ``configs/second_look.schema.json`` contain them.
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_adapter(kind).json_schema()}


def read_as(path: Path, check: Callable[[Any], C]) -> C:
    """Return what ``check`` makes of the values in a YAML file; its message about a mistake gets the file's name.

    Raises:
        UnusableInput: The file cannot be read, or is no YAML.
        WrongConfig: It is not valid.
        MachineLimit: PyYAML is not installed.
    """
    values = read_yaml(path)
    try:
        return check(values)
    except UnusableInput as error:
        raise WrongConfig(f"{path}: {error}") from error


def read_yaml(path: Path) -> Any:
    """Return the values in a YAML file of bounded size.

    Raises:
        UnusableInput: The file cannot be read or is not valid YAML; the message names the file.
        MachineLimit: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MachineLimit("Training needs PyYAML; install the extra: pip install 'lungtumorseg[train]'.") from error
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise UnusableInput(f"The configuration {path} is not a file; check the path.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnusableInput(f"The configuration {path} cannot be read: {error.strerror}.") from error
    if len(data) > MOST_BYTES:
        raise UnusableInput(f"The configuration {path} is larger than {MOST_BYTES // 1024**2} MB.")
    try:
        values = yaml.safe_load(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnusableInput(f"The configuration {path} is not UTF-8 text; choose a YAML file.") from error
    except RecursionError as error:
        raise UnusableInput(f"The configuration {path} is not valid YAML: it is nested too deeply.") from error
    except (yaml.YAMLError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
        # safe_load does not catch what its converters of dates and numbers raise
        raise UnusableInput(f"The configuration {path} is not valid YAML: {reason(error)}.") from error
    if values is None:
        raise UnusableInput(f"The configuration {path} is empty; start from a recipe in training/configs.")
    return values


def validated_config(values: Any, kind: type[C]) -> C:
    """Return nested mappings as a configuration of a kind, each value checked on its own.

    Raises:
        UnusableInput: A value is missing, unknown or out of range; the message is one sentence.
    """
    try:
        hashable: Any = kind  # mypy does not know that classes are
        config: C = _adapter(hashable).validate_python(values)
    except ValidationError as error:
        raise UnusableInput(_first_mistake(error, kind)) from error
    except RecursionError as error:
        raise UnusableInput("The configuration refers to itself; remove the circular alias.") from error
    return config


def _first_mistake(error: ValidationError, kind: type) -> str:
    """Return one sentence on the first mistake that pydantic found: its place and what is expected there."""
    mistake = error.errors(include_url=False, include_context=False)[0]
    *section, key = mistake["loc"] or ("",)
    if mistake["type"] == "missing" and isinstance(key, int):
        return f"{_place(section)} must have more than {key} values."
    if mistake["type"] == "missing":
        return f"{_place(section)} lacks the setting {quoted(key)}."
    if mistake["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        settings = ", ".join(_settings_of(section, kind))
        return f"{_place(section)} has no setting {quoted(key)}; its settings are {settings}."
    if mistake["type"] == "dataclass_type":
        return f"{_place(mistake['loc'])} must hold named values, not {quoted(mistake['input'])}."
    if mistake["type"] == "invalid_key":
        return f"{_place(section)} must have text keys, not {quoted(key)}."
    expected = mistake["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{_place(mistake['loc'])} must be {reason(ValueError(expected))}, not {quoted(mistake['input'])}."


def _place(location: Sequence[int | str]) -> str:
    """Return the dotted key of a place in the file; keys come from the file and can be any text."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{printable(str(part))}" for part in location)
    return bounded(text.removeprefix("."), 100) or "The configuration"


def _settings_of(section: Sequence[int | str], kind: Any) -> list[str]:
    """Return the settings that a section of the file accepts."""
    for part in section:
        kind = get_type_hints(kind).get(str(part), kind) if isinstance(part, str) else kind
        kind = next((each for each in (kind, *get_args(kind)) if is_dataclass(each)), kind)
    return [each.name for each in fields(kind)] if is_dataclass(kind) else []


def require(fits: bool, message: str) -> None:
    """Refuse settings that do not fit.

    Args:
        fits: Whether they do.
        message: The sentence for the user if they do not.

    Raises:
        UnusableInput: They do not fit.
    """
    if not fits:
        raise UnusableInput(message)


def merge_settings(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with changes; a change of None removes a setting."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge_settings(result[key], value)
        else:
            result[key] = value
    return result
