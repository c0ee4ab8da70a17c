from decimal import Decimal

import pytest
from pydantic import BaseModel, ValidationError

from schemas.codec import encode, read_json
from schemas.invalid import InvalidMessageError
from schemas.money import MINOR_DIGITS, Currency, read_amount, to_minor, to_text


@pytest.mark.parametrize(
    ("said", "minor"),
    [
        ('"710.00"', 71000),
        ("710.00", 71000),
        ("710", 71000),
        ('"710"', 71000),
        ("0.1", 10),
        ("0", 0),
        ("-0", 0),
        ('"0.00"', 0),
        ("7.1e2", 71000),
        ('"7.1E+2"', 71000),
        ('"71000e-2"', 71000),
        ('"000710.00"', 71000),
        ("9999999999999.99", 999999999999999),
        ("999999999999999", 99999999999999900),
        ('"1e14"', 10**16),
    ],
)
def test_an_amount_is_read_exactly_from_a_number_and_from_a_string(said: str, minor: int) -> None:
    assert to_minor(read_amount(read_json(said.encode())), "EUR", "amount") == minor


def test_an_amount_that_no_float_holds_is_read_to_its_last_digit() -> None:
    assert read_amount(read_json(b"4503599627370.49")) == Decimal("4503599627370.49")
    assert to_minor(read_amount(read_json(b"0.29")), "EUR", "amount") == 29


@pytest.mark.parametrize(
    "said",
    [
        '"NaN"',
        '"sNaN"',
        '"Infinity"',
        '"-Infinity"',
        "1e400",
        "1e99999999999999999999",
        "-1e99999999999999999999",
        "1e-99999999999999999999",
        "0e99999999999999999999",
        '"1e400"',
        '"1e9999"',
        "0e400",
        "1e-400",
        "true",
        "false",
        "null",
        "-1",
        "-0.01",
        '"-710.00"',
        "1000000000000000",
        "10000000000000.01",
        '"0.0000000000000001"',
        "99999999999999999999",
        "9" * 5000,
        '"1e15"',
        '"７１０"',
        '"٧١٠"',
        '"7_10"',
        '" 710"',
        '"710 "',
        '"710\\n"',
        '"+710"',
        '"710."',
        '".5"',
        '"710,00"',
        '"1 000"',
        '"0x10"',
        '"1e10000"',
        '""',
        "[]",
        "{}",
        '["710"]',
    ],
)
def test_what_is_no_amount_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r"^must be|^must not be|^has more than 15 digits"):
        read_amount(read_json(said.encode()))


def test_a_float_is_never_taken_for_an_amount() -> None:
    with pytest.raises(ValueError, match=r"^must be a number, or a string that holds one$"):
        read_amount(710.0)


def test_decimals_that_are_no_number_are_refused_also_when_they_come_as_decimals() -> None:
    for amount in (Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")):
        with pytest.raises(ValueError, match=r"^must be a finite number$"):
            read_amount(amount)


def test_fifteen_digits_are_taken_wherever_the_point_stands() -> None:
    for text in ("999999999999999", "99999999.9999999", "0.999999999999999", "0.000000000000001"):
        assert read_amount(text) == Decimal(text)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("710", "JPY", 710),
        ("710.5", "EUR", 71050),
        ("710.125", "KWD", 710125),
        ("999999999999999", "KWD", 999999999999999000),
        ("1", "CLF", 10000),
    ],
)
def test_minor_units_are_counted_by_the_currency(text: str, currency: str, minor: int) -> None:
    assert to_minor(Decimal(text), currency, "amount") == minor


@pytest.mark.parametrize(
    ("text", "currency"), [("710.0", "JPY"), ("0.001", "EUR"), ("710.000", "EUR"), ("0.0001", "KWD"), ("0.00", "JPY")]
)
def test_more_digits_than_the_currency_has_are_refused_and_never_rounded(text: str, currency: str) -> None:
    with pytest.raises(InvalidMessageError) as refused:
        to_minor(Decimal(text), currency, "lines.0.amount")
    digits = MINOR_DIGITS[currency]
    told = f"has more than the {digits} decimal digits of {currency}"
    assert refused.value.errors == [{"field": "lines.0.amount", "message": told}]


@pytest.mark.parametrize("digits", [0, 2, 3])
def test_the_largest_amount_fits_the_64_bits_of_the_books(digits: int) -> None:
    currency = next(code for code, minor_digits in MINOR_DIGITS.items() if minor_digits == digits)
    assert to_minor(Decimal(999999999999999), currency, "amount") < 2**63


def test_of_a_currency_with_four_digits_no_more_is_taken_than_64_bits_hold() -> None:
    assert to_minor(Decimal("922337203685477.5807"), "CLF", "amount") == 2**63 - 1
    with pytest.raises(InvalidMessageError, match="amount is more CLF than the books can hold"):
        to_minor(Decimal("922337203685477.5808"), "CLF", "amount")


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (71000, "EUR", "710.00"),
        (0, "EUR", "0.00"),
        (5, "EUR", "0.05"),
        (99, "EUR", "0.99"),
        (100, "EUR", "1.00"),
        (710, "JPY", "710"),
        (0, "JPY", "0"),
        (5, "KWD", "0.005"),
        (710125, "KWD", "710.125"),
        (-5, "EUR", "-0.05"),
        (-71000, "EUR", "-710.00"),
    ],
)
def test_canonical_text_has_exactly_the_currencys_digits(minor: int, currency: str, text: str) -> None:
    assert to_text(minor, currency) == text


def test_a_decimal_is_written_as_a_json_number_with_its_digits() -> None:
    assert encode({"amount": Decimal("710.00")}) == b'{"amount":710.00}'


def test_the_currencies_digits_are_those_of_iso_4217() -> None:
    assert {code: MINOR_DIGITS[code] for code in ("EUR", "USD", "JPY", "KRW", "KWD", "BHD", "CLF")} == {
        "EUR": 2,
        "USD": 2,
        "JPY": 0,
        "KRW": 0,
        "KWD": 3,
        "BHD": 3,
        "CLF": 4,
    }


def test_codes_that_are_no_money_are_no_currency() -> None:
    assert not {"XAU", "XXX", "XTS"} & MINOR_DIGITS.keys()


@pytest.mark.parametrize("said", ["eur", "EURO", "XAU", "", "€", 978, None, True, ["EUR"]])
def test_what_is_no_iso_code_is_no_currency(said: object) -> None:
    class Priced(BaseModel):
        currency: Currency

    assert Priced.model_validate({"currency": "EUR"}).currency == "EUR"
    with pytest.raises(ValidationError) as refused:
        Priced.model_validate({"currency": said})
    assert refused.value.errors()[0]["msg"] == "Value error, must be an ISO 4217 currency code such as EUR"
