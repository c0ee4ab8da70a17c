"""How an unexpected error is named in the log: by what it is and where it arose, never by its text."""

from pathlib import Path
from typing import cast

import asyncpg
import pytest

from worker.broker.connection import nodes_of
from worker.domain.errors import LinkLostError
from worker.telemetry import named

SECRET = "sesame"


def test_an_error_of_a_library_is_named_by_the_innermost_place_of_our_own() -> None:
    with pytest.raises(TypeError) as caught:
        nodes_of(cast("str", None))
    assert Path(str(caught.traceback[-1].path)).name == "__init__.py", "of the library that was called"
    assert named(caught.value).startswith("TypeError at connection.py:")


def test_an_error_of_postgres_is_named_with_its_state() -> None:
    refused = asyncpg.CheckViolationError(SECRET)
    assert named(refused) == "CheckViolationError (SQLSTATE 23514)"


def test_an_error_that_arose_elsewhere_is_named_by_that_place() -> None:
    with pytest.raises(ValueError, match=SECRET) as caught:
        raise ValueError(SECRET)
    assert named(caught.value).startswith("ValueError at test_telemetry.py:")


def test_what_the_worker_itself_raises_is_said_in_its_words() -> None:
    assert named(LinkLostError("the broker went away")) == "the broker went away"
