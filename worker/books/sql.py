"""The statements, each in a file of its own under queries/."""

from functools import cache
from importlib.resources import files
from typing import Final

MIGRATIONS: Final = files("worker.books") / "migrations"
RIGHTS: Final = files("worker.books") / "rights"
_QUERIES: Final = files("worker.books") / "queries"


@cache
def query(name: str) -> str:
    """Return the text of queries/<name>.sql."""
    return (_QUERIES / f"{name}.sql").read_text()
