import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode, read_json
from schemas.invalid import InvalidMessageError
from schemas.limits import AMOUNT_DIGITS_MAX
from schemas.money import MINOR_DIGITS, read_amount, to_minor, to_text

CURRENCIES = st.sampled_from(["JPY", "EUR", "KWD", "CLF"])
MINOR = st.integers(0, 10**AMOUNT_DIGITS_MAX - 1)


@given(MINOR, CURRENCIES)
def test_an_amount_that_was_told_is_read_as_the_same(minor: int, currency: str) -> None:
    text = to_text(minor, currency)
    for said in (text, read_json(text.encode()), read_json(encode(Decimal(text)))):
        assert to_minor(read_amount(said), currency, "amount") == minor


@given(MINOR, CURRENCIES)
def test_text_says_the_amount_with_exactly_the_currencys_digits(minor: int, currency: str) -> None:
    assert Decimal(to_text(minor, currency)).scaleb(MINOR_DIGITS[currency]) == minor
    assert -int(Decimal(to_text(minor, currency)).as_tuple().exponent) == MINOR_DIGITS[currency]


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.decimals(0, 10**16, places=4), CURRENCIES)
def test_whatever_the_number_it_is_read_exactly_or_refused(number: Decimal, currency: str) -> None:
    try:
        minor = to_minor(read_amount(number), currency, "amount")
    except (ValueError, InvalidMessageError):
        return
    assert 0 <= minor < 2**63
    assert Decimal(minor).scaleb(-MINOR_DIGITS[currency]) == number


@given(st.text() | st.text("0123456789.eE+-_ ٣７", max_size=12))
def test_whatever_the_text_it_is_read_exactly_or_refused(text: str) -> None:
    try:
        amount = read_amount(text)
    except ValueError:
        return
    assert amount.is_finite()
    assert amount >= 0
    assert amount == Decimal(text)
    assert text.isascii()
    assert "_" not in text
    assert text == text.strip()


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_of_a_body_is_the_same_as_text(number: float) -> None:
    said = json.dumps(number)

    def read(value: object) -> Decimal | None:
        try:
            return read_amount(value)
        except ValueError:
            return None

    assert read(read_json(said.encode())) == read(said)
