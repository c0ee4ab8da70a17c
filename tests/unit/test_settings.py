from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from worker.settings import PREFIX, Settings, SettingsError, read_settings, read_url

LEAST = {
    "PAYMENT_WORKER_AMQP_URL": "amqp://user:secret@rabbit/vhost",
    "PAYMENT_WORKER_DATABASE_URL": "postgresql://user:secret@postgres/books",
}


def refusal(**changes: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read_settings(LEAST | {PREFIX + name: value for name, value in changes.items()})
    return str(refused.value)


def test_the_two_urls_are_all_that_is_needed() -> None:
    settings = read_settings(LEAST)
    assert settings.amqp_url.get_secret_value() == "amqp://user:secret@rabbit/vhost"
    assert settings.database_url.get_secret_value() == "postgresql://user:secret@postgres/books"
    assert (settings.http_host, settings.http_port, settings.zone) == ("0.0.0.0", 8080, ZoneInfo("UTC"))  # noqa: S104
    assert (settings.log_level, settings.log_format, settings.shutdown_deadline_s) == ("info", "json", 20.0)


def test_a_url_that_is_missing_is_named() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({})
    assert str(refused.value) == "PAYMENT_WORKER_AMQP_URL: Field required; PAYMENT_WORKER_DATABASE_URL: Field required"


def test_every_setting_is_read_from_its_variable() -> None:
    said = {
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": "0",
        "BATCH_MESSAGES": "1",
        "PREFETCH_MESSAGES": "2000",
        "AUDIT_PAUSE_S": "0.25",
        "SHUTDOWN_DEADLINE_S": "0.5",
        "TIMEZONE": "Europe/Helsinki",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "console",
    }
    settings = read_settings(LEAST | {PREFIX + name: value for name, value in said.items()})
    read = settings.model_dump(mode="json", exclude={"amqp_url", "database_url"})
    assert {name.upper(): str(value) for name, value in read.items()} == said
    assert settings.zone == ZoneInfo("Europe/Helsinki")


def test_no_other_variable_is_read() -> None:
    assert read_settings(LEAST | {"HTTP_PORT": "1", "payment_worker_http_port": "2"}) == read_settings(LEAST)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "eighty"),
        ("HTTP_PORT", "-1"),
        ("HTTP_PORT", "65536"),
        ("HTTP_PORT", "80.5"),
        ("BATCH_MESSAGES", "0"),
        ("BATCH_MESSAGES", "251"),
        ("PREFETCH_MESSAGES", "0"),
        ("PREFETCH_MESSAGES", "2001"),
        ("SHUTDOWN_DEADLINE_S", "0"),
        ("SHUTDOWN_DEADLINE_S", "nan"),
        ("TIMEZONE", "Europe/Atlantis"),
        ("TIMEZONE", "../../etc/passwd"),
        ("TIMEZONE", ""),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_without_its_value(name: str, value: str) -> None:
    told = refusal(**{name: value})
    assert told.startswith(f"PAYMENT_WORKER_{name}: ")
    assert ";" not in told
    if len(value) > 2:
        assert value not in told


def test_all_that_is_wrong_is_told_at_once() -> None:
    told = refusal(HTTP_PORT="x", LOG_LEVEL="x")
    assert "PAYMENT_WORKER_HTTP_PORT: " in told
    assert "PAYMENT_WORKER_LOG_LEVEL: " in told


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("amqp://user:from-file@rabbit/vhost\n")
    settings = read_settings(LEAST | {"PAYMENT_WORKER_AMQP_URL_FILE": str(file)})
    assert settings.amqp_url.get_secret_value() == "amqp://user:from-file@rabbit/vhost"
    only = {"PAYMENT_WORKER_AMQP_URL_FILE": str(file), "PAYMENT_WORKER_DATABASE_URL_FILE": str(file)}
    assert read_settings(only).database_url.get_secret_value() == "amqp://user:from-file@rabbit/vhost"


def test_a_file_that_cannot_be_read_is_named_by_its_variable_alone(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, error in (
        (tmp_path / "nowhere", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (binary, "it is no UTF-8 text"),
    ):
        told = f"PAYMENT_WORKER_AMQP_URL_FILE: cannot read the file that it names: {error}"
        assert refusal(AMQP_URL_FILE=str(path)) == told


def test_a_file_that_is_not_named_is_none() -> None:
    """So compose hands on a variable that is not set."""
    settings = read_settings(LEAST | {"PAYMENT_WORKER_AMQP_URL_FILE": ""})
    assert settings.amqp_url.get_secret_value() == LEAST["PAYMENT_WORKER_AMQP_URL"]


def test_secrets_print_as_stars() -> None:
    settings = read_settings(LEAST)
    for text in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "secret@" not in text
        assert "**********" in text


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings(LEAST).http_port = 1  # type: ignore[misc]


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_url_that_is_empty_is_named() -> None:
    assert refusal(AMQP_URL="") == "PAYMENT_WORKER_AMQP_URL: is empty"
    assert refusal(AMQP_URL="", DATABASE_URL="").count("is empty") == 2


def test_one_url_is_read_without_the_other(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("amqp://from-file\n")
    environment = {"PAYMENT_WORKER_AMQP_URL_FILE": str(file), "PAYMENT_WORKER_HTTP_PORT": "makes no sense"}
    assert read_url("amqp_url", environment) == "amqp://from-file"
    for said, wrong in (({}, "Field required"), ({"PAYMENT_WORKER_DATABASE_URL": ""}, "is empty")):
        with pytest.raises(SettingsError) as refused:
            read_url("database_url", environment | said)
        assert str(refused.value) == f"PAYMENT_WORKER_DATABASE_URL: {wrong}"
