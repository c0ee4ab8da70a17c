"""Amounts: exact decimals on the wire, whole minor units inside; and how many digits a currency has.

No float is ever made of an amount, so nothing is rounded: what does not fit is refused with a reason.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Final

from iso4217 import Currency as IsoCurrency
from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema

from schemas.invalid import invalid
from schemas.limits import AMOUNT_DIGITS_MAX, AMOUNT_MINOR_MAX, PERCENT_MAX, TEXTS_KEPT

DECIMAL_TEXT = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?", re.ASCII)


def read_amount(value: object) -> Decimal:
    """Return the amount that a JSON number or string says, exactly.

    Raises ValueError for a boolean, NaN, infinity, a negative amount, or more than AMOUNT_DIGITS_MAX digits.
    Whether the digits fit a currency is asked by to_minor().
    """
    if isinstance(value, str):
        if not DECIMAL_TEXT.fullmatch(value):
            raise ValueError("must be a decimal number such as 710.00")
        amount = Decimal(value)
    elif isinstance(value, Decimal | int) and not isinstance(value, bool):
        amount = Decimal(value)
    else:
        raise ValueError("must be a number, or a string that holds one")
    if not amount.is_finite():
        raise ValueError("must be a finite number")
    if amount < 0:
        raise ValueError("must not be negative")
    exponent = int(amount.as_tuple().exponent)
    if max(amount.adjusted() + 1, 0) + max(-exponent, 0) > AMOUNT_DIGITS_MAX:
        raise ValueError(f"has more than {AMOUNT_DIGITS_MAX} digits")
    return amount


Amount = Annotated[
    Decimal,
    PlainValidator(read_amount),
    WithJsonSchema(
        {
            "description": "An amount: a JSON number, or a string that holds one.",
            "anyOf": [
                {
                    "description": f"Read exactly, never rounded. At most {AMOUNT_DIGITS_MAX} digits in all, and after "
                    "the point no more than the currency has (EUR 2, JPY 0, KWD 3).",
                    "type": "number",
                    "minimum": 0,
                    "exclusiveMaximum": 10**AMOUNT_DIGITS_MAX,
                },
                {
                    "description": "The same as text.",
                    "type": "string",
                    "pattern": r"^([0-9]+(\.[0-9]+)?|-0+(\.0+)?)([eE][+-]?[0-9]{1,4})?$",
                },
            ],
            "examples": ["710.00"],
        }
    ),
]


def read_percent(value: object) -> Decimal:
    """Return the percentage that a JSON number or string says, exactly. Raises ValueError as read_amount() does."""
    percent = read_amount(value)
    if percent > PERCENT_MAX:
        raise ValueError(f"must not be more than {PERCENT_MAX}")
    return percent


Percent = Annotated[
    Decimal,
    PlainValidator(read_percent),
    WithJsonSchema(
        {
            "description": "A percentage: a JSON number, or a string that holds one.",
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": PERCENT_MAX},
                {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?|-0+(\.0+)?)([eE][+-]?[0-9]{1,4})?$"},
            ],
            "examples": [1.5],
        }
    ),
]

MINOR_DIGITS: Final[Mapping[str, int]] = MappingProxyType(
    {currency.code: currency.exponent for currency in IsoCurrency if currency.exponent is not None}
)
"""ISO 4217 code to the digits of its minor unit: EUR 2, JPY 0, KWD 3. Codes without one (gold) are no money here."""


def _known_currency(code: str) -> str:
    if code not in MINOR_DIGITS:
        raise ValueError("must be an ISO 4217 currency code such as EUR")
    return code


Currency = Annotated[
    str,
    BeforeValidator(lambda value: value if isinstance(value, str) else ""),
    AfterValidator(_known_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code", "examples": ["EUR"]}),
]


def to_minor(amount: Decimal, currency: str, field: str) -> int:
    """Return the amount in minor units. Raises InvalidMessageError of the field where it does not fit the currency."""
    digits = MINOR_DIGITS[currency]
    if -int(amount.as_tuple().exponent) > digits:
        raise invalid(field, f"has more than the {digits} decimal digits of {currency}")
    amount_minor = int(amount.scaleb(digits))
    if amount_minor > AMOUNT_MINOR_MAX:
        raise invalid(field, f"is more {currency} than the books can hold")
    return amount_minor


def percent_of(amount_minor: int, percent: Decimal) -> int:
    """Return that much of the amount, rounded half up to a whole minor unit."""
    numerator, denominator = percent.as_integer_ratio()
    return (2 * amount_minor * numerator + 100 * denominator) // (200 * denominator)


def plain_text(number: Decimal) -> str:
    """Return the number as text, the same for each way to write it: 10, 10.0 and 1e1 are "10", and -0 is "0"."""
    digits = f"{number or 0:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


@lru_cache(TEXTS_KEPT)
def to_text(amount_minor: int, currency: str) -> str:
    """Return minor units as canonical text with exactly the currency's digits: 71000 EUR is "710.00"."""
    digits = MINOR_DIGITS[currency]
    if not digits:
        return str(amount_minor)
    sign, text = ("-", str(-amount_minor)) if amount_minor < 0 else ("", str(amount_minor))
    text = text.rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}"


@lru_cache(TEXTS_KEPT)
def to_number(text: str) -> Decimal:
    """Return the exact number that to_text() wrote."""
    return Decimal(text)
