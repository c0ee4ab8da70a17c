"""A file of invoices, JSON lines or CSV, row by row and in bounded memory."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from schemas.codec import parse, read_json
from schemas.invalid import InvalidMessageError, MalformedJsonError
from schemas.invoice import Account, InvoicePut
from schemas.limits import BODY_BYTES_MAX
from worker.books.invoice_import import Row, WrongRow
from worker.domain.errors import PermanentError

_BOM = b"\xef\xbb\xbf"
_ACCOUNT = {f"account_{name}": name for name in Account.model_fields}
_FIELDS = frozenset(InvoicePut.model_fields) - {"account"}
COLUMNS = frozenset(_FIELDS | _ACCOUNT.keys())
"""What a column of a CSV may be called."""
_DELIMITERS = (",", ";", "\t")


class InvoiceFileError(PermanentError):
    """The file as a whole is not what it should be."""


class InvoiceFile:
    """An open file. `position` is how many of its bytes have been read."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self.position = 0
        self.ignored_columns: list[str] = []

    def rows(self) -> Iterator[Row | WrongRow]:
        """Return the rows in order. A line of nothing but spaces is none. Raises InvoiceFileError."""
        lines = self._lines()
        if self._is_json():
            yield from (_read_line(number, line) for number, line in lines if not line.isspace())
        else:
            yield from self._csv_rows(lines)

    def _is_json(self) -> bool:
        if self._path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
            return True
        # peek() may come up short of a whole line, but hardly of the first character that is no space.
        start = self._stream.peek(BODY_BYTES_MAX) if hasattr(self._stream, "peek") else b""
        return bytes(start).removeprefix(_BOM).lstrip()[:1] == b"{"

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Return the lines with their numbers, one too long cut to one byte more than is allowed."""
        number = 0
        while line := self._stream.readline(BODY_BYTES_MAX + 1):
            self.position += len(line)
            number += 1
            if number == 1:
                line = line.removeprefix(_BOM)
            if len(line) > BODY_BYTES_MAX:
                self._skip_line(line)
            yield number, line

    def _skip_line(self, start: bytes) -> None:
        while not start.endswith(b"\n") and (start := self._stream.readline(BODY_BYTES_MAX)):
            self.position += len(start)

    def _csv_rows(self, lines: Iterator[tuple[int, bytes]]) -> Iterator[Row | WrongRow]:
        text = _CsvText(lines)
        header = next(text, None)
        if header is None:
            raise InvoiceFileError(f"{self._path}: has no header line")
        try:
            delimiter = max(_DELIMITERS, key=lambda each: len(COLUMNS & set(_cells(header, each))))
            names = _cells(header, delimiter)
        except csv.Error as error:
            raise InvoiceFileError(f"{self._path}: has a header line that is no CSV: {error}") from None
        self._check_header(names)
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        while True:
            first_line = text.number + 1
            text.is_broken = False
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield WrongRow(first_line, f"is no CSV: {error}")
                continue
            if text.is_broken:
                yield WrongRow(first_line, f"is not UTF-8, or longer than {BODY_BYTES_MAX} bytes")
            elif any(cells):
                yield _read_cells(first_line, names, cells)

    def _check_header(self, names: list[str]) -> None:
        if "capital" not in names:
            raise InvoiceFileError(
                f"{self._path}: is neither JSON lines nor a CSV with a column capital in its first line; "
                f"known columns are {', '.join(sorted(COLUMNS))}"
            )
        if twice := sorted({name for name in names if name and names.count(name) > 1}):
            raise InvoiceFileError(f"{self._path}: has the column {', '.join(twice)} twice")
        self.ignored_columns = [name for name in names if name not in COLUMNS]


class _CsvText:
    """The lines as text for the csv module, which asks for as many as a row has."""

    def __init__(self, lines: Iterator[tuple[int, bytes]]) -> None:
        self._lines = lines
        self.number = 0
        self.is_broken = False
        """True where a line since this was last set to False is not UTF-8 or too long."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self.is_broken = True
            return "\n"
        self.is_broken |= len(line) > BODY_BYTES_MAX
        return "\n" if self.is_broken else text


def _cells(header: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter), [])]


def _read_line(number: int, line: bytes) -> Row | WrongRow:
    if len(line) > BODY_BYTES_MAX:
        return WrongRow(number, f"is longer than {BODY_BYTES_MAX} bytes")
    try:
        raw = read_json(line)
    except MalformedJsonError as error:
        return WrongRow(number, f"is no JSON: {error}")
    return _read(number, raw)


def _read_cells(number: int, names: list[str], cells: list[str]) -> Row | WrongRow:
    if len(cells) != len(names):
        return WrongRow(number, f"has {len(cells)} cells, the header {len(names)}")
    raw: dict[str, Any] = {}
    account: dict[str, str] = {}
    for name, cell in zip(names, cells, strict=True):
        if name in _FIELDS:
            raw[name] = cell
        elif cell and name in _ACCOUNT:
            account[_ACCOUNT[name]] = cell
    if account:
        raw["account"] = account
    return _read(number, raw)


def _read(number: int, raw: object) -> Row | WrongRow:
    has_version = not isinstance(raw, Mapping) or raw.get("version") not in (None, "")
    if not has_version and isinstance(raw, Mapping):
        raw = {**raw, "version": 0}
    try:
        return Row(number, parse(InvoicePut, raw), has_version)
    except InvalidMessageError as error:
        return WrongRow(number, str(error))
