"""What is published says what the models say: the files are generated, and none has been edited or forgotten."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from schemas.asyncapi import document
from schemas.catalog import TYPES
from schemas.outcome import OUTCOME_TYPE, Status
from schemas.publish import FOLDER, drift, main, write


def test_what_is_committed_is_what_the_models_say() -> None:
    assert drift() == [], "run python -m schemas.publish"
    assert main(["--check"]) is None


def test_a_file_that_is_edited_missing_or_nobodys_is_drift_until_it_is_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    assert "asyncapi.json" in drift(folder)
    write(folder)
    assert drift(folder) == []
    (folder / "ropo.payment.v1.json").write_text("{}")
    (folder / "invoice.put.v1.json").unlink()
    (folder / "old.payment.v1.json").write_text("{}")
    assert drift(folder) == ["invoice.put.v1.json", "old.payment.v1.json", "ropo.payment.v1.json"]
    write(folder)
    assert drift(folder) == []


def test_the_check_names_the_drifted_file_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    monkeypatch.setattr("schemas.publish.published", lambda: {"new.v1.json": "{}\n"})
    assert "new.v1.json" in str(main(["--check"]))
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before
    assert str(main(["--chekc"])).startswith("usage:")


@pytest.mark.parametrize("name", [*TYPES, OUTCOME_TYPE])
def test_a_published_schema_is_a_json_schema_of_its_dialect_that_stands_alone(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text()
    schema = json.loads(text)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == name
    assert schema["description"]
    assert text.count('"$ref"') == text.count('"$ref": "#/$defs/')


def test_each_message_type_travels_on_the_channel_of_its_topic() -> None:
    channels = document()["channels"]
    for name, each in TYPES.items():
        carrying = [channel for channel in channels.values() if name in channel["messages"]]
        assert [channel["address"] for channel in carrying] == [f"{each.topic}.{{company}}"]
        assert carrying[0]["bindings"]["amqp"]["exchange"]["name"] == "payments"


def test_the_document_has_the_exchanges_and_routing_keys_of_the_contract() -> None:
    channels = document()["channels"].values()
    found = {(c["bindings"]["amqp"]["exchange"]["name"], c["address"]) for c in channels if c["address"]}
    assert found == {
        ("payments", "registration.{company}"),
        ("payments", "invoice.{company}"),
        ("payments.outcomes", "outcome.{company}.{status}"),
        ("payments.dead-letter", "{topic}.{company}"),
    }
    statuses = document()["channels"]["outcomes"]["parameters"]["status"]["enum"]
    assert statuses == [status.name.lower() for status in Status]
