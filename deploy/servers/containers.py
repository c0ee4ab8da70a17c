"""RabbitMQ and PostgreSQL as Docker containers, through testcontainers."""

import gc
import os
import secrets
import warnings
from collections.abc import Callable
from functools import partial

import docker.errors
import requests

# Its reaper is one more image to pull, and our janitor does the same.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from deploy.servers.answers import ask_database, ask_management, await_answer
from deploy.servers.janitor import Janitor
from deploy.servers.place import free_ports
from deploy.servers.postgres import CONNECTIONS_MAX
from deploy.servers.progress import step
from deploy.servers.servers import Servers
from deploy.servers.unavailable import Unavailable

POSTGRES = "postgres:17"
RABBITMQ = "rabbitmq:4-management"
USER = "payment_worker"
POSTGRES_PORT = 5432
AMQP_PORT = 5672
MANAGEMENT_PORT = 15672
STOP_TIMEOUT_S = 120
LOG_LINES = 4


class ContainerServer:
    """A server in a container, each of its ports bound to one of the host's, so that it comes back on the same."""

    def __init__(self, image: str, settings: dict[str, str], ports: list[int], janitor: Janitor) -> None:
        self._name = f"payment-worker-{image.partition(':')[0]}-{secrets.token_hex(4)}"
        self.container = DockerContainer(image, env=settings, name=self._name)
        self._host = self.container.get_docker_client().host().replace("localhost", "127.0.0.1")
        for port, free in zip(ports, free_ports(), strict=False):
            # An engine of this machine need not show the port to others.
            published = (self._host, free) if self._host == "127.0.0.1" else free
            self.container.ports[str(port)] = published  # type: ignore[assignment] # handed on to docker as it is
        self._janitor = janitor
        self.ask: Callable[[], object] = bool
        self.stop_command: list[str] = []

    def launch(self) -> None:
        """Create and start the container without waiting for the server in it to answer."""
        self._janitor.add("container", self._name)
        self.container.start()

    def address(self, port: int) -> str:
        return f"{self._host}:{self.container.get_exposed_port(port)}"

    def await_ready(self) -> None:
        await_answer(self._name, self.ask, self._ended, self._log_tail)
        self._hang_up()

    def start(self) -> None:
        self.container.get_wrapped_container().start()
        self.await_ready()

    def stop(self) -> None:
        if self.stop_command:
            self.container.exec(self.stop_command)
        self.container.get_wrapped_container().stop(timeout=STOP_TIMEOUT_S)
        self._hang_up()

    def kill(self) -> None:
        self.container.get_wrapped_container().kill()
        self.container.get_wrapped_container().wait()
        self._hang_up()

    def restart(self) -> None:
        self.stop()
        self.start()

    def control(self, *arguments: str) -> None:
        """Run rabbitmqctl with the arguments, where this is RabbitMQ. Raises Unavailable when that fails."""
        exit_code, output = self.container.exec(["rabbitmqctl", *arguments])
        self._hang_up()
        if exit_code != 0:
            raise Unavailable(f"rabbitmqctl {arguments[0]} failed: {output.decode(errors='replace').strip()}")

    def _ended(self) -> bool:
        self.container.reload()
        return self.container.status == "exited"

    def _log_tail(self) -> str:
        lines = self.container.get_wrapped_container().logs(tail=LOG_LINES)
        return " / ".join(lines.decode(errors="replace").strip().splitlines())

    def _hang_up(self) -> None:
        """Close the idle connections to the engine; the next call opens one."""
        self.container.get_docker_client().client.close()


def from_docker(janitor: Janitor) -> Servers:
    try:
        have_images(POSTGRES, RABBITMQ)
        return run_containers(janitor)
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise Unavailable(f"Docker failed: {' '.join(str(error).split())}") from error


def reach_engine() -> docker.DockerClient:
    with warnings.catch_warnings():
        # A refused connection leaves a socket of docker's to the garbage collector, which tells of it.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            engine = DockerClient().client
            engine.ping()
        except (docker.errors.DockerException, requests.RequestException):
            engine = None
        gc.collect()
    if engine is None:
        raise Unavailable("no Docker engine answers")
    return engine


def have_images(*images: str) -> None:
    engine = reach_engine()
    try:
        for image in images:
            try:
                engine.images.get(image)
            except docker.errors.ImageNotFound:
                pull(engine, image)
    finally:
        engine.close()


def pull(engine: docker.DockerClient, image: str) -> None:
    try:
        with step(f"Pulling the Docker image {image}"):
            engine.images.pull(image)
    except (docker.errors.DockerException, requests.RequestException) as error:
        why = " ".join(str(error).split())
        raise Unavailable(f"Docker has no image {image} and cannot pull it: {why}") from error


def run_containers(janitor: Janitor) -> Servers:
    password = secrets.token_hex(16)
    login = f"{USER}:{password}"
    broker_settings = {"RABBITMQ_DEFAULT_USER": USER, "RABBITMQ_DEFAULT_PASS": password}
    database_settings = {"POSTGRES_USER": USER, "POSTGRES_PASSWORD": password, "POSTGRES_DB": "postgres"}
    broker = ContainerServer(RABBITMQ, broker_settings, [AMQP_PORT, MANAGEMENT_PORT], janitor)
    # Not every image hands SIGTERM on to RabbitMQ.
    broker.stop_command = ["rabbitmqctl", "stop"]
    database = ContainerServer(POSTGRES, database_settings, [POSTGRES_PORT], janitor)
    database.container.with_command(["postgres", "-c", f"max_connections={CONNECTIONS_MAX}"])
    with step(f"Starting {RABBITMQ} and {POSTGRES} with Docker"):
        broker.launch()
        database.launch()
        management_url = f"http://{login}@{broker.address(MANAGEMENT_PORT)}"
        database_url = f"postgresql://{login}@{database.address(POSTGRES_PORT)}/postgres"
        listening = f"/api/health/checks/port-listener/{AMQP_PORT}"
        broker.ask = partial(ask_management, management_url, path=listening)
        database.ask = partial(ask_database, database_url)
        database.await_ready()
        broker.await_ready()
    return Servers(
        way="docker",
        amqp_url=f"amqp://{login}@{broker.address(AMQP_PORT)}/",
        management_url=management_url,
        database_url=database_url,
        broker=broker,
        database=database,
    )
