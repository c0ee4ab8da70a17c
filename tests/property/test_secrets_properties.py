import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.sources import without_secrets
from schemas.sources.ropo import ROPO

HIDING = replace(ROPO, secret_fields=frozenset({"token"}))
TEXT = st.sampled_from(['"token":"s"', "token", '\\"token\\": 1', "\\", '"', "s", "\ud800"]) | st.text(max_size=8)
NAMES = st.sampled_from(["token", "token", "a", '"token"', "token:"]) | TEXT
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


def blanked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "" if name == "token" else blanked(inner) for name, inner in value.items()}
    return [blanked(inner) for inner in value] if isinstance(value, list) else value


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_of_any_json_just_the_secrets_are_blanked(value: Any, indent: int | None, ensure_ascii: bool) -> None:  # noqa: FBT001
    body = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii).encode(errors="surrogatepass")
    found = without_secrets(body, HIDING)
    assert json.loads(found.decode(errors="surrogatepass")) == blanked(value)
    assert without_secrets(found, HIDING) == found


@given(st.binary() | st.text('{}[]":,\\tokens \n').map(str.encode))
def test_of_any_bytes_a_body_without_secrets_has_none(body: bytes) -> None:
    found = without_secrets(body, HIDING)
    assert without_secrets(found, HIDING) == found
    if b'"token"' not in body:
        assert found == body
