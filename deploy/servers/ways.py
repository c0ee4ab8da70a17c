"""Where the servers come from: the environment, else Docker, else this system's own packages."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from deploy.servers.answers import ask_amqp, ask_database, ask_management
from deploy.servers.janitor import Janitor
from deploy.servers.packages import programs
from deploy.servers.place import free_ports, fresh_folder, place
from deploy.servers.postgres import Postgres
from deploy.servers.progress import say, step
from deploy.servers.rabbitmq import RabbitMq
from deploy.servers.servers import Servers
from deploy.servers.unavailable import Unavailable

FORCED = "PAYMENT_WORKER_SERVERS"
AMQP_URL = "PAYMENT_WORKER_AMQP_URL"
DATABASE_URL = "PAYMENT_WORKER_DATABASE_URL"
MANAGEMENT_URL = "PAYMENT_WORKER_MANAGEMENT_URL"
MANAGEMENT_PORT = 15672


@contextmanager
def provide(environment: Mapping[str, str] = os.environ) -> Iterator[Servers]:
    """The servers for as long as the block lasts; nothing of them is left after it, however it ends.

    PAYMENT_WORKER_SERVERS=env, docker or native forces one way. Raises Unavailable when there are none to be had.
    """
    janitor = Janitor()
    try:
        yield find(environment, janitor)
    finally:
        janitor.close()


def find(environment: Mapping[str, str], janitor: Janitor) -> Servers:
    ways: dict[str, Callable[[], Servers]] = {
        "env": lambda: from_environment(environment),
        "docker": lambda: from_docker(janitor),
        "native": lambda: from_packages(janitor),
    }
    forced = environment.get(FORCED, "")
    if forced:
        if forced not in ways:
            raise Unavailable(f"{FORCED}={forced} is none of {', '.join(ways)}")
        try:
            return ways[forced]()
        except Unavailable as error:
            raise Unavailable(f"{FORCED}={forced}, but {error}") from error
    if url(environment, AMQP_URL) or url(environment, DATABASE_URL):
        return ways["env"]()
    try:
        return ways["docker"]()
    except Unavailable as error:
        say(f"Not with Docker: {error}")
    return ways["native"]()


class Outside:
    """A server that somebody else runs."""

    def __init__(self, variable: str) -> None:
        self._variable = variable

    def start(self, *_: str) -> None:
        raise Unavailable(f"the server of {self._variable} is not ours to start or stop")

    stop = kill = restart = control = start


def from_environment(environment: Mapping[str, str]) -> Servers:
    amqp_url, database_url = url(environment, AMQP_URL), url(environment, DATABASE_URL)
    if not amqp_url or not database_url:
        raise Unavailable(f"{DATABASE_URL if amqp_url else AMQP_URL} is not set; it takes both URLs")
    expect_answer(AMQP_URL, ask_amqp, amqp_url)
    expect_answer(DATABASE_URL, ask_database, database_url)
    return Servers(
        way="env",
        amqp_url=amqp_url,
        management_url=url(environment, MANAGEMENT_URL) or management_beside(amqp_url),
        database_url=database_url,
        broker=Outside(AMQP_URL),
        database=Outside(DATABASE_URL),
    )


def expect_management(servers: Servers) -> None:
    """Raise Unavailable where RabbitMQ's HTTP API does not answer. Tests create vhosts by it; a worker needs none."""
    expect_answer(MANAGEMENT_URL, ask_management, servers.management_url)


def expect_answer(variable: str, ask: Callable[[str], object], where: str) -> None:
    try:
        ask(where)
    except Exception as error:
        address = urlsplit(where).netloc.rpartition("@")[2]
        raise Unavailable(f"the server of {variable} at {address} does not answer: {error}") from error


def url(environment: Mapping[str, str], variable: str) -> str:
    """The text of the file that `<variable>_FILE` names, or else the setting itself: in the order of the worker's."""
    file = environment.get(f"{variable}_FILE", "")
    try:
        return Path(file).read_text(encoding="utf-8").strip() if file else environment.get(variable, "")
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"the file that {variable}_FILE names cannot be read: {type(error).__name__}") from error


def management_beside(amqp_url: str) -> str:
    login, _, address = urlsplit(amqp_url).netloc.rpartition("@")
    host = address if address.endswith("]") else address.rsplit(":", 1)[0]
    return f"http://{login or 'guest:guest'}@{host}:{MANAGEMENT_PORT}"


def from_docker(janitor: Janitor) -> Servers:
    from deploy.servers import containers  # noqa: PLC0415 - testcontainers is slow to import

    return containers.from_docker(janitor)


def from_packages(janitor: Janitor) -> Servers:
    found = programs(janitor)
    folder = fresh_folder()
    janitor.add("directory", folder)
    ports = free_ports()
    broker_ports = (next(ports), next(ports), next(ports), next(ports))
    broker = RabbitMq(found, place(folder, "rabbitmq", "rabbitmq"), broker_ports, janitor)
    database = Postgres(found, place(folder, "postgres", "postgres"), next(ports), janitor)
    with step(f"Starting RabbitMQ and PostgreSQL {found.postgres_version} of this system"):
        broker.create()
        broker.launch()
        database.create()
        database.start()
        broker.await_ready()
    return Servers(
        way="native",
        amqp_url=broker.amqp_url,
        management_url=broker.management_url,
        database_url=database.url,
        broker=broker,
        database=database,
    )
