"""A RabbitMQ with deploy/rabbitmq/rabbitmq.conf and the definitions, as they stand; only paths and ports differ."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

from deploy.rabbitmq.definitions import definitions, downstream, own_roles, upstream
from deploy.servers.answers import ask_amqp
from deploy.servers.janitor import Janitor
from deploy.servers.packages import programs
from deploy.servers.place import free_ports, fresh_folder, place
from deploy.servers.rabbitmq import RabbitMq
from deploy.servers.unavailable import Unavailable
from tests.walls.authorities import RIGHT_NAMES, Authorities, Certificate

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "rabbitmq" / "rabbitmq.conf"
HOME = "/etc/rabbitmq/"
COMPANY = "acme"
PORT = 5671
PASSWORD = "of this test alone"


@dataclass(frozen=True)
class TlsBroker:
    """Where it listens, and the files that the broker was given."""

    port: int
    authorities: Authorities
    client: Certificate

    def url(
        self,
        user: str = "worker",
        *,
        host: str = RIGHT_NAMES[0],
        ca: Path | None = None,
        client: Certificate | None = None,
        scheme: str = "amqps",
        **more: str,
    ) -> str:
        """Return the URL of a user who trusts the authority and shows the certificate, unless it says otherwise."""
        shown = client or self.client
        files = {"cafile": ca or self.authorities.ca, "certfile": shown.certificate, "keyfile": shown.key}
        query = {name: str(file) for name, file in files.items()} | more
        given = urlencode({name: value for name, value in query.items() if value}, safe="/")
        return f"{scheme}://{user}:{PASSWORD.replace(' ', '%20')}@{host}:{self.port}/?{given}"


class NativeTlsBroker(RabbitMq):
    """The system's RabbitMQ with files of ours beside it."""

    files: dict[str, str]
    port: int
    url: str

    def create(self) -> None:
        super().create()
        for name, text in self.files.items():
            self.place.write(name, text)
        changes = {
            f"{HOME}tls/": f"{self.place.folder}/",
            HOME: f"{self.place.folder}/",
            f"= {PORT}\n": f"= 127.0.0.1:{self.port}\n",
        }
        configuration = CONFIGURATION.read_text(encoding="utf-8")
        for old, new in changes.items():
            configuration = configuration.replace(old, new)
        self.place.write("rabbitmq.conf", f"{configuration}management.tcp.port = {self._management_port}\n")

    def ask(self) -> None:
        ask_amqp(self.url)


@contextmanager
def run_tls_broker(way: str, authorities: Authorities, folder: Path) -> Iterator[TlsBroker]:
    """Run it as a container or from the system's packages. Raises Unavailable."""
    roles = [*own_roles(), upstream(COMPANY), downstream(COMPANY)]
    files = {
        "ca.pem": authorities.ca.read_text(),
        "server.pem": authorities.named_server.certificate.read_text(),
        "server-key.pem": authorities.named_server.key.read_text(),
        "definitions.json": json.dumps(definitions(roles, {role.name: PASSWORD for role in roles})),
    }
    janitor = Janitor()
    client = authorities.client_of("client")
    try:
        broker = TlsBroker(next(free_ports()), authorities, client)
        run = _run_container if way == "docker" else _run_native
        run(janitor, broker, files, folder)
        yield broker
    finally:
        janitor.close()


def _run_native(janitor: Janitor, broker: TlsBroker, files: dict[str, str], _: Path) -> None:
    home = fresh_folder()
    janitor.add("directory", home)
    ports = free_ports()
    numbers = (broker.port, next(ports), next(ports), next(ports))
    server = NativeTlsBroker(programs(janitor), place(home, "rabbitmq", "rabbitmq"), numbers, janitor)
    server.files, server.port, server.url = files, broker.port, broker.url()
    server.create()
    server.start()


def _run_container(janitor: Janitor, broker: TlsBroker, files: dict[str, str], folder: Path) -> None:
    from deploy.servers.containers import RABBITMQ, ContainerServer  # noqa: PLC0415 - testcontainers is slow to import

    tls = folder / "tls"
    tls.mkdir(parents=True)
    for name, text in files.items():
        (folder if name == "definitions.json" else tls).joinpath(name).write_text(text)
    for file in (folder, tls, *folder.rglob("*.*")):
        file.chmod(0o755)  # the container's user is none of ours
    server = ContainerServer(RABBITMQ, {}, [PORT], janitor)
    server.container.ports[str(PORT)] = cast("int", ("127.0.0.1", broker.port))
    for source, target in (
        (tls, "tls"),
        (folder / "definitions.json", "definitions.json"),
        (CONFIGURATION, CONFIGURATION.name),
    ):
        server.container.with_volume_mapping(str(source), HOME + target)
    server.ask = partial(ask_amqp, broker.url())
    server.launch()
    server.await_ready()


def way_of(way: str) -> str:
    """Return how to come by a server of our own, where the others come that way."""
    if way != "env":
        return way
    from deploy.servers.containers import reach_engine  # noqa: PLC0415 - testcontainers is slow to import

    try:
        reach_engine().close()
    except Unavailable:
        return "native"
    return "docker"
