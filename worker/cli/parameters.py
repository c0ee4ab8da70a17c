"""The kinds of arguments and options that several commands take. What makes no sense is wrong use: exit status 2."""

import getpass
import os
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import click

from schemas.catalog import is_company
from schemas.fields import storable
from schemas.limits import IDEMPOTENCY_KEY_CHARS_MAX, INTEGER_ID_MAX

Function = TypeVar("Function", bound=Callable[..., Any])
Choice = TypeVar("Choice", bound=StrEnum)

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class WholeNumber(click.IntRange):
    """An integer within bounds, by the name that people have for it."""

    name = "whole number"


class _Company(click.ParamType[str]):
    name = "company"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_company(value):
            self.fail("a company is named by lower-case letters, digits and hyphens, 63 at most", param, ctx)
        return str(value)


class _Text(click.ParamType[str]):
    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return storable(str(value))
        except ValueError:
            self.fail("is no UTF-8 text", param, ctx)


class _Key(_Text):
    name = "key"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        key = super().convert(value, param, ctx)
        if not key.strip() or len(key) > IDEMPOTENCY_KEY_CHARS_MAX:
            self.fail(f"must be text of 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters", param, ctx)
        return key


class _Day(click.ParamType[date]):
    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if not _DAY.fullmatch(value):
            self.fail("must be a day such as 2017-10-10", param, ctx)
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail("is no day of the calendar", param, ctx)


class _Instant(click.ParamType[datetime]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            instant = datetime.fromisoformat(value)
            return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail("must be a time such as 2017-10-10 or 2017-10-10T12:30:00+03:00 (UTC without offset)", param, ctx)


COMPANY = _Company()
TEXT = _Text()
KEY = _Key()
DAY = _Day()
INSTANT = _Instant()
ID = WholeNumber(1, INTEGER_ID_MAX)
FILE = click.Path(path_type=Path)

company_option = click.option("--company", required=True, type=COMPANY, help="The company.")


def choice(values: Iterable[StrEnum]) -> click.Choice[str]:
    """Return the parameter type of a StrEnum's values."""
    return click.Choice([value.value for value in values])


def pairs(given: Iterable[str], values: type[Choice], option: str) -> dict[str, Choice]:
    """Return what TYPE=VALUE options say. Raises click.BadParameter."""
    said: dict[str, Choice] = {}
    for each in given:
        name, separator, value = each.rpartition("=")
        if not separator or not name:
            raise click.BadParameter(f"{each!r} must be TYPE=VALUE", param_hint=option)
        if value not in set(values):
            raise click.BadParameter(f"{value!r} is none of {', '.join(values)}", param_hint=option)
        if name in said:
            raise click.BadParameter(f"type {name!r} is given twice", param_hint=option)
        said[name] = values(value)
    return said


def actor_options(command: Function) -> Function:
    """Give a command `--by` and `--why`: who does this and for what reason, as the books will have it."""
    by = click.option("--by", type=TEXT, default=_user, show_default="the system's user", help="Who does this.")
    why = click.option("--why", type=TEXT, help="Why it is done.")
    return by(why(command))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
