"""What the wire models share: their base, text that Postgres can hold, integer ids and dates."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    PlainValidator,
    StrictStr,
    WithJsonSchema,
)
from pydantic import model_validator as pydantic_model_validator
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from schemas.limits import IDENTIFIER_CHARS_MAX, INTEGER_DIGITS_MAX, INTEGER_ID_MAX, TEXT_CHARS_MAX

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ISO_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?", re.ASCII
)
_DIGITS = re.compile(f"[0-9]{{1,{INTEGER_DIGITS_MAX}}}", re.ASCII)
_ABSENT: JsonDict = {"enum": [None, ""]}


class WireModel(BaseModel):
    """A message from outside. Unknown fields are ignored; null and the empty string mean that a field was not given."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @pydantic_model_validator(mode="before")
    @classmethod
    def _blank_is_absent(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            raise ValueError("must be a JSON object")
        return {name: value for name, value in raw.items() if value is not None and value != ""}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say in the JSON Schema too that null and the empty string stand for a field that was not given."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        for name, said in schema["properties"].items():
            if name in schema.get("required", ()):
                if said.get("type") == "string" and "pattern" not in said:
                    said["minLength"] = 1
                continue
            about = {word: said.pop(word) for word in ("description", "default") if said.get(word) is not None}
            said.pop("default", None)
            alternatives = [way for way in said.get("anyOf", [said]) if way != {"type": "null"}]
            schema["properties"][name] = {**about, "anyOf": [*alternatives, _ABSENT]}
        return schema


def at_least_one_of(*names: str) -> JsonDict:
    """Return the JSON Schema of an object in which at least one of these fields is given."""
    return {"anyOf": [{"required": [name], "properties": {name: {"not": _ABSENT}}} for name in names]}


class OneOf(WireModel):
    """An object of which exactly one field is given."""

    @pydantic_model_validator(mode="after")
    def _one_is_given(self) -> Self:
        if len(self._given()) != 1:
            raise ValueError(f"needs exactly one of {', '.join(type(self).model_fields)}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        return schema | {"oneOf": at_least_one_of(*schema["properties"])["anyOf"]}

    def only(self) -> tuple[Any, Any]:
        """Return the one field that is given, and its value."""
        (given,) = self._given()
        return given

    def _given(self) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in self if value is not None]


def storable(text: str) -> str:
    """Return the text. Raises ValueError for NUL or half of a surrogate pair, which Postgres cannot store."""
    if _UNSTORABLE.search(text):
        raise ValueError("holds a NUL or a lone surrogate, which is no text")
    return text


def _at_most(chars_max: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > chars_max:
            raise ValueError(f"is longer than {chars_max} characters")
        return text

    return AfterValidator(check)


def _read_integer_id(value: object) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    elif isinstance(value, Decimal) and 0 <= value <= INTEGER_ID_MAX and value == value.to_integral_value():
        value = int(value)  # JSON has one kind of numbers: 5.0 is the integer 5, in the published schemas too
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be an integer")
    if not 0 <= value <= INTEGER_ID_MAX:
        raise ValueError(f"must lie between 0 and {INTEGER_ID_MAX}")
    return value


def _read_date(value: object) -> date:
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
        raise ValueError("must be a date such as 2017-10-10")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("is no day of the calendar") from None


def _read_datetime(value: object) -> datetime:
    if not isinstance(value, str) or not _ISO_DATETIME.fullmatch(value):
        raise ValueError("must be a date and time such as 2018-07-24 00:00:00")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is no time of the calendar") from None


# pydantic's own length checks count before our validators run, and its text checks turn a lone surrogate into bytes.
Name = Annotated[
    StrictStr,
    BeforeValidator(lambda value: storable(value) if isinstance(value, str) else value),
    _at_most(IDENTIFIER_CHARS_MAX),
    WithJsonSchema({"type": "string", "maxLength": IDENTIFIER_CHARS_MAX}),
]
"""Text that names something: an identifier, a code, a type."""

Text = Annotated[
    StrictStr,
    BeforeValidator(lambda value: storable(value) if isinstance(value, str) else value),
    _at_most(TEXT_CHARS_MAX),
    WithJsonSchema({"type": "string", "maxLength": TEXT_CHARS_MAX}),
]
"""Free text for people."""

IntegerId = Annotated[
    int,
    PlainValidator(_read_integer_id),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": INTEGER_ID_MAX},
                {"type": "string", "pattern": f"^{_DIGITS.pattern}$"},
            ]
        }
    ),
]
"""An integer id, as a number or as a string of digits."""

Date = Annotated[
    date,
    PlainValidator(_read_date),
    WithJsonSchema({"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
]
"""A day: YYYY-MM-DD."""

DateTime = Annotated[
    datetime,
    PlainValidator(_read_datetime),
    WithJsonSchema({"type": "string", "pattern": f"^{_ISO_DATETIME.pattern}$", "examples": ["2018-07-24 00:00:00"]}),
]
"""A date and time, with or without seconds and offset; a day alone is its first moment."""
