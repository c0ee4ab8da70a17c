"""Every limit stands in schemas/limits.py or worker/limits.py, with its unit in its name and a word on why."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PLACES = (ROOT / "schemas" / "limits.py", ROOT / "worker" / "limits.py")
UNITS = {
    *(
        "BYTES",
        "CHARS",
        "COMPANIES",
        "DIGITS",
        "LEVELS",
        "LINES",
        "ROWS",
        "MESSAGES",
        "ATTEMPTS",
        "DELIVERIES",
        "OBJECTS",
        "LETTERS",
        "S",
        "MS",
    ),
    *(
        "PERCENT",
        "SHARE",
        "MINOR",
        "ERRORS",
        "FINDINGS",
        "DETAILS",
        "TEXTS",
        "ROUTES",
        "ID",
        "LIMIT",
        "SHOWN",
        "LISTED",
    ),
}
NO_LIMITS = {
    "worker/broker/properties.py": {"PERSISTENT"},  # a word of AMQP
    "worker/broker/wire.py": {"_SECONDS_MAX"},  # where the driver's reading of a timestamp ends
    "worker/books/checks.py": {"_ALL_ROWS"},  # no limit at all
    "worker/books/migrate.py": {"MIGRATION_LOCK"},  # the names of three locks
    "worker/auditor.py": {"AUDIT_LOCK"},
    "worker/books/outbox.py": {"RELAY_LOCK"},
    "worker/cli/__init__.py": {"exit_code"},
    "worker/cli/terminal.py": {"PIPED_WIDTH"},  # how results are laid out
    "schemas/sources/ivvy.py": {"_WRITE_OFF"},  # iVvy's own number
}
NO_LIMITS_IN = ("worker/cli/demo/", "schemas/outcome.py")
"""The demo keeps a pace of its own; a status is a number that means a word."""


def named_numbers(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module or its classes give to a number of its own, enumerations apart."""
    bodies = [tree.body, *(each.body for each in tree.body if isinstance(each, ast.ClassDef) and not is_enum(each))]
    for statement in (each for body in bodies for each in body):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and is_number(statement.value):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (ast.unparse(target) for target in targets)


def bare_bounds(tree: ast.Module) -> Iterator[str]:
    """Yield the calls that wait or bound by a number that has no name."""
    for call in (each for each in ast.walk(tree) if isinstance(each, ast.Call)):
        bounded = [word.value for word in call.keywords if word.arg in {"timeout", "le", "lt", "maxsize", "limit"}]
        waits = ast.unparse(call.func).rpartition(".")[2] in {"sleep", "timeout", "lru_cache", "wait_for", "Semaphore"}
        if any(map(is_number, [*bounded, *(call.args if waits else ())])):
            yield ast.unparse(call)


def is_number(value: ast.expr | None) -> bool:
    try:
        said = eval(ast.unparse(value), {"__builtins__": {}}) if value is not None else None  # noqa: S307 - our own
    except (NameError, TypeError, SyntaxError, AttributeError):
        return False
    return isinstance(said, int | float) and not isinstance(said, bool) and said not in (-1, 0, 1)


def is_enum(each: ast.ClassDef) -> bool:
    return any("Enum" in ast.unparse(base) for base in each.bases)


MODULES = [path for package in ("schemas", "worker") for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path not in PLACES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_other_module_has_a_number_that_limits_something(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    tree = ast.parse(path.read_text())
    numbers = set(named_numbers(tree)) - NO_LIMITS.get(name, set())
    if not name.startswith(NO_LIMITS_IN):
        assert numbers == set(), "belongs into schemas/limits.py or worker/limits.py"
    assert [bound for bound in bare_bounds(tree) if "http_port" not in bound and "65535" not in bound] == []


@pytest.mark.parametrize("path", PLACES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_limit_names_its_unit_and_has_a_word_on_it(path: Path) -> None:
    body = ast.parse(path.read_text()).body[1:]
    names = [ast.unparse(each.targets[0]) for each in body if isinstance(each, ast.Assign)]
    assert [name for name in names if not UNITS.intersection(name.split("_"))] == []
    # Several that belong together share the words after the last of them.
    untold = [name for name, after in zip(names, told(body), strict=True) if not after]
    assert untold == []


def told(body: list[ast.stmt]) -> Iterator[bool]:
    """Yield of each limit whether words follow it, or a limit of whose words follow."""
    for index, statement in enumerate(body):
        if isinstance(statement, ast.Assign):
            after = next((each for each in body[index + 1 :] if not isinstance(each, ast.Assign)), None)
            yield isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
