"""Writes schemas/published/: a JSON Schema for each message, and the AsyncAPI document that says where each travels.

`python -m schemas.publish` writes the files. With `--check` it writes nothing, and exits 1 if the models say otherwise.
"""

import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from schemas.asyncapi import document
from schemas.catalog import TYPES
from schemas.codec import encode
from schemas.outcome import OUTCOME_TYPE, Outcome

FOLDER: Final = Path(__file__).parent / "published"
ASYNCAPI_FILE: Final = "asyncapi.json"

_FIRST = ("$schema", "title", "description", "type", "required", "properties")


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - a title would only repeat the name
        return False


def json_schema(message_type: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a message type of the catalog, or of the outcome."""
    model = Outcome if message_type == OUTCOME_TYPE else TYPES[message_type].model
    said = TypeAdapter[Any](model).json_schema(schema_generator=_Generator)
    said |= {"$schema": _Generator.schema_dialect, "title": message_type}
    return {word: said[word] for word in _FIRST} | said


def published() -> dict[str, str]:
    """Return what the folder is to hold: file name to text."""
    schemas = {f"{name}.json": json_schema(name) for name in sorted([*TYPES, OUTCOME_TYPE])}
    return {name: _text(said) for name, said in (schemas | {ASYNCAPI_FILE: document()}).items()}


def drift(folder: Path = FOLDER) -> list[str]:
    """Return the names of the files that are missing, stale, or not generated at all."""
    wanted = published()
    found = {path.name: path.read_text() for path in folder.iterdir()} if folder.is_dir() else {}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write(folder: Path = FOLDER) -> None:
    """Make the folder hold just what is generated."""
    wanted = published()
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text)


def main(arguments: list[str]) -> str | None:
    """Write or check. Return what is wrong, in one line, or None."""
    if arguments not in ([], ["--check"]):
        return "usage: python -m schemas.publish [--check]"
    if arguments:
        drifted = drift()
        return f"not what the models say: {', '.join(drifted)}. Run python -m schemas.publish" if drifted else None
    write()
    return None


def _text(said: dict[str, Any]) -> str:
    return msgspec.json.format(encode(said), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
