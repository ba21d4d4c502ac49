"""The kinds of values that settings are made of, more exact than Python's types."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from annpot.elements import SYMBOLS
from annpot.errors import InputError, did_you_mean
from annpot.units import parse_units

Name = TypeVar("Name", str, Path)


@dataclass(frozen=True)
class Shorthand:
    """Annotation: a value may also be written in a shorter form.

    Parameters
    ----------
    expand
        Function that turns the short form into the full one, and leaves any other
        value as it is: telling what is wrong with that is the full form's business.
    forms
        JSON schemas of the short forms.
    one_item
        Whether an item alone stands for a list of one.
    """

    expand: Callable[[Any], Any]
    forms: tuple[JsonSchemaValue, ...] = ()
    one_item: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Expand first, then validate the full form."""
        full = handler(source)
        return core_schema.no_info_before_validator_function(self.expand, full)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of 'a short form or the full one'."""
        full = handler(schema)
        items = [full["items"]] if self.one_item else []
        return {"anyOf": [*items, *self.forms, full]}


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "expected a number")
    return value


def _refuse_empty(value: Any) -> Any:
    if value == "":
        raise PydanticCustomError("path_type", "expected a path")
    return value


def _refuse_nul(name: Name) -> Name:
    if "\0" in str(name):
        raise ValueError("a file name cannot contain the character NUL")
    return name


def _check_symbol(symbol: str) -> str:
    if symbol in SYMBOLS[1:]:
        return symbol
    near = symbol.strip().capitalize()
    if near in SYMBOLS[1:]:
        raise ValueError(f"unknown chemical element {symbol!r}, did you mean '{near}'?")
    hint = did_you_mean(symbol, SYMBOLS[1:])
    raise ValueError(f"unknown chemical element {symbol!r}{hint}")


def _check_index(index: str) -> str:
    if not re.fullmatch(r"-?\d+|(-?\d+)?:(-?\d+)?(:(-?\d+)?)?", index, re.ASCII):
        raise ValueError(f"expected e.g. ':', -1 or '::10', found {index!r}")
    if re.search(r":-?0+$", index) and index.count(":") == 2:
        raise ValueError(f"the step of an index cannot be 0, found {index!r}")
    return index


def _check_units(text: str) -> str:
    try:
        return str(parse_units(text))
    except InputError as error:
        raise ValueError(str(error)) from None


def _integer_as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _words_as_text(value: Any) -> Any:
    """Return 'bohr,hartree' for [bohr, hartree]; braces in YAML need a list."""
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return ",".join(value)
    return value


def _text_as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_DURATION = re.compile(
    r"(?:([\d.]+)\s*d)?\s*(?:([\d.]+)\s*h)?\s*(?:([\d.]+)\s*m(?:in)?)?\s*(?:([\d.]+)\s*s)?",
    re.ASCII,
)


def _duration_as_seconds(value: Any) -> Any:
    """Return the seconds of '1h30m'; anything else is left to the number's check."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        return value
    try:
        numbers = [float(number or 0) for number in match.groups()]
    except ValueError:
        return value
    return sum(n * s for n, s in zip(numbers, (86400, 3600, 60, 1), strict=True))


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT])(i?)B?", re.ASCII | re.IGNORECASE)


def _size_as_bytes(value: Any) -> Any:
    """Return the bytes of '8G' or '512MiB'; a text without a unit is left as it is."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return value
    number, unit, binary = match.groups()
    power = "kmgt".index(unit.lower()) + 1
    size = float(number) * (1024 if binary else 1000) ** power
    return round(size) if size < 2**63 else value


def _species_as_mapping(value: Any) -> Any:
    """Expand ``[Ti, O]`` and ``{Ti: -2.5, O: fit}`` to ``{Ti: {energy: ...}, ...}``."""
    if isinstance(value, (list, tuple)):
        if not all(isinstance(symbol, str) for symbol in value):
            raise ValueError(f"expected a list of chemical symbols, found {value!r}")
        if len(set(value)) < len(value):
            raise ValueError(f"a species is listed twice: {value!r}")
        return {symbol: {} for symbol in value}
    if isinstance(value, Mapping):
        return {
            symbol: {"energy": v} if isinstance(v, (str, int, float)) else v
            for symbol, v in value.items()
        }
    return value


def _groups_as_list(value: Any) -> Any:
    """Expand ``a/*.xsf`` and ``[a/*.xsf, {files: b}]`` to groups."""
    value = _text_as_list(value)
    if isinstance(value, (list, tuple)):
        return [{"files": v} if isinstance(v, str) else v for v in value]
    return value


def _item_as_list(value: Any) -> Any:
    """Return a list of one for anything but a list."""
    return value if isinstance(value, (list, tuple)) else [value]


def _part_as_list(value: Any) -> Any:
    """Return a list of sections; those without a type are of type chebyshev."""
    return [
        {"type": "chebyshev"} | (item or {}) if isinstance(item, dict | None) else item
        for item in _item_as_list(value)
    ]


_number = BeforeValidator(_refuse_bool)
Natural = Annotated[int, Field(ge=0), _number]
Count = Annotated[int, Field(ge=1), _number]
Nodes = Annotated[int, Field(ge=1, le=100_000), _number]
Bytes = Annotated[int, Field(ge=1_000_000), _number]
Order = Annotated[int, Field(ge=0, le=100), _number]
Float = Annotated[float, _number]
Positive = Annotated[float, Field(gt=0), _number]
Radius = Annotated[float, Field(gt=0, le=100), _number]
Weight = Annotated[float, Field(ge=0, le=1e12), _number]
NonNegative = Annotated[float, Field(ge=0), _number]
Ratio = Annotated[float, Field(gt=0, lt=1), _number]
Share = Annotated[float, Field(ge=0, lt=1), _number]
Symbol = Annotated[str, AfterValidator(_check_symbol)]
FileName = Annotated[Path, BeforeValidator(_refuse_empty), AfterValidator(_refuse_nul)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(_refuse_nul)]

UnitsName = Annotated[str, AfterValidator(_check_units)]

as_units = Shorthand(_words_as_text, ({"type": "array", "items": {"type": "string"}},))
as_text = Shorthand(_integer_as_text, ({"type": "integer"},))
as_list = Shorthand(_text_as_list, ({"type": "string"},))
as_items = Shorthand(_item_as_list, one_item=True)
as_parts = Shorthand(_part_as_list, one_item=True)
as_seconds = Shorthand(
    _duration_as_seconds, ({"type": "string", "examples": ["90s", "1h30m"]},)
)
as_bytes = Shorthand(
    _size_as_bytes, ({"type": "string", "examples": ["8G", "512MiB"]},)
)
as_groups = Shorthand(
    _groups_as_list,
    ({"type": "string"}, {"type": "array", "items": {"type": "string"}}),
)
as_species = Shorthand(
    _species_as_mapping,
    (
        {"type": "array", "items": {"type": "string"}},
        {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "number"}, {"const": "fit"}]},
        },
    ),
)
Index = Annotated[str, AfterValidator(_check_index), as_text]
