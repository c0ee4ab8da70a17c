from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.servers import Servers, Unavailable, ways
from deploy.servers.janitor import Janitor

NOWHERE = {
    "PAYMENT_WORKER_AMQP_URL": "amqp://ann:hush@127.0.0.1:1/",
    "PAYMENT_WORKER_DATABASE_URL": "postgresql://ann:hush@127.0.0.1:1/",
}


@pytest.fixture
def janitor() -> Iterator[Janitor]:
    janitor = Janitor()
    yield janitor
    janitor.close()


def test_the_urls_of_the_environment_come_first(servers: Servers, janitor: Janitor) -> None:
    found = ways.find(servers.environment(), janitor)
    assert (found.way, found.environment()) == ("env", servers.environment())


def test_a_url_may_stand_in_a_file(servers: Servers, janitor: Janitor, tmp_path: Path) -> None:
    urls = servers.environment()
    (tmp_path / "database").write_text(urls.pop("PAYMENT_WORKER_DATABASE_URL") + "\n")
    found = ways.find({**urls, "PAYMENT_WORKER_DATABASE_URL_FILE": str(tmp_path / "database")}, janitor)
    assert found.database_url == servers.database_url


def test_the_two_urls_are_enough_and_the_http_api_is_asked_only_by_who_needs_it(
    servers: Servers, janitor: Janitor
) -> None:
    found = ways.find(
        {**servers.environment(), "PAYMENT_WORKER_MANAGEMENT_URL": "http://ann:hush@127.0.0.1:1"}, janitor
    )
    with pytest.raises(Unavailable, match=r"PAYMENT_WORKER_MANAGEMENT_URL at 127\.0\.0\.1:1 does not answer") as caught:
        ways.expect_management(found)
    assert "hush" not in str(caught.value)


def test_a_file_of_a_url_comes_before_the_url_as_the_worker_has_it(
    servers: Servers, janitor: Janitor, tmp_path: Path
) -> None:
    urls = servers.environment()
    (tmp_path / "broker").write_text(urls["PAYMENT_WORKER_AMQP_URL"])
    nowhere = {**urls, "PAYMENT_WORKER_AMQP_URL": "amqp://127.0.0.1:1"}
    found = ways.find({**nowhere, "PAYMENT_WORKER_AMQP_URL_FILE": str(tmp_path / "broker")}, janitor)
    assert found.amqp_url == servers.amqp_url


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_of_a_url_that_cannot_be_read_is_told_by_its_setting(
    content: bytes | None, janitor: Janitor, tmp_path: Path
) -> None:
    file = tmp_path / "broker"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Unavailable, match=r"the file that PAYMENT_WORKER_AMQP_URL_FILE names cannot be read") as caught:
        ways.find({**NOWHERE, "PAYMENT_WORKER_AMQP_URL_FILE": str(file)}, janitor)
    assert str(file) not in str(caught.value)


@pytest.mark.parametrize("given", NOWHERE)
def test_one_url_without_the_other_is_refused(given: str, janitor: Janitor) -> None:
    (other,) = NOWHERE.keys() - {given}
    with pytest.raises(Unavailable, match=f"{other} is not set"):
        ways.find({given: NOWHERE[given]}, janitor)


def test_servers_of_the_environment_that_do_not_answer_are_named_without_their_password(janitor: Janitor) -> None:
    with pytest.raises(Unavailable, match=r"PAYMENT_WORKER_AMQP_URL at 127\.0\.0\.1:1 does not answer") as caught:
        ways.find(NOWHERE, janitor)
    assert "hush" not in str(caught.value)


def test_docker_comes_before_the_system_s_packages_and_a_line_says_why_it_was_passed_over(
    servers: Servers, janitor: Janitor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ways, "from_packages", lambda _: servers)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert ways.find({}, janitor) is servers
    assert capsys.readouterr().err == "Not with Docker: no Docker engine answers\n"


def test_a_forced_way_is_not_given_up_for_another(
    servers: Servers, janitor: Janitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "from_packages", lambda _: servers)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(Unavailable, match="PAYMENT_WORKER_SERVERS=docker, but no Docker engine answers"):
        ways.find({**servers.environment(), "PAYMENT_WORKER_SERVERS": "docker"}, janitor)
    assert ways.find({**NOWHERE, "PAYMENT_WORKER_SERVERS": "native"}, janitor) is servers


@pytest.mark.parametrize(("way", "why"), [("env", "AMQP_URL is not set"), ("cloud", "none of env, docker, native")])
def test_a_forced_way_that_cannot_be_gone_is_an_error(way: str, why: str, janitor: Janitor) -> None:
    with pytest.raises(Unavailable, match=why):
        ways.find({"PAYMENT_WORKER_SERVERS": way}, janitor)


@pytest.mark.parametrize(
    ("amqp_url", "management_url"),
    [
        ("amqp://ann:hush@mq.example:5673/books", "http://ann:hush@mq.example:15672"),
        ("amqp://mq.example", "http://guest:guest@mq.example:15672"),
        ("amqps://ann:hush@[::1]:5671/", "http://ann:hush@[::1]:15672"),
    ],
)
def test_the_management_url_stands_beside_the_broker_s(amqp_url: str, management_url: str) -> None:
    assert ways.management_beside(amqp_url) == management_url
