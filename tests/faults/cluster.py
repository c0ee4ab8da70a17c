"""Three RabbitMQ nodes as one cluster, in containers on a network of their own."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

from docker import DockerClient
from docker.models.networks import Network

from deploy.servers.answers import ANSWER_TIMEOUT_S, ask_again, ask_management
from deploy.servers.containers import (
    AMQP_PORT,
    MANAGEMENT_PORT,
    RABBITMQ,
    USER,
    ContainerServer,
    have_images,
    reach_engine,
)
from deploy.servers.janitor import Janitor
from deploy.servers.progress import step
from deploy.servers.unavailable import Unavailable

HOSTS = ("rabbit-1", "rabbit-2", "rabbit-3")
NODES = [f"rabbit@{host}" for host in HOSTS]
OPTIONS = (
    f"-rabbit cluster_nodes {{[{','.join(repr(node) for node in NODES)}],disc}}"
    " -rabbit cluster_partition_handling pause_minority"
)


class Node:
    """A node of the cluster: a server that can be killed and started, and cut off from clients and other nodes."""

    def __init__(self, host: str, server: ContainerServer, network: Network, login: str) -> None:
        self.name = f"rabbit@{host}"
        self.server = server
        self._host = host
        self._network = network
        self._login = login

    @property
    def amqp_url(self) -> str:
        return f"amqp://{self._login}@{self.server.address(AMQP_PORT)}/"

    @property
    def management_url(self) -> str:
        return f"http://{self._login}@{self.server.address(MANAGEMENT_PORT)}"

    def cut_off(self) -> None:
        """Pull its plug: neither clients nor other nodes hear of it any more, while it runs on."""
        self._network.disconnect(self.server.container.get_wrapped_container())

    def come_back(self) -> None:
        """Put the plug back in, and restart: nodes that were apart for a moment need not find each other again."""
        self.server.kill()
        self._network.connect(self.server.container.get_wrapped_container(), aliases=[self._host])
        self.server.start()

    def drain(self) -> None:
        """Have it hand on what it leads and turn its clients away, as before an upgrade."""
        self._run("rabbitmq-upgrade", "drain")

    def revive(self) -> None:
        self._run("rabbitmq-upgrade", "revive")

    def lead(self, vhost: str, queue: str) -> None:
        """Have it lead the queue, and nothing else change.

        It is asked again where it fails: a node that came back a moment ago may lack what a leader needs.
        """
        found = f'rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>))'
        migrated = "rabbit_quorum_queue:transfer_leadership(Q, node())"
        leads = "{migrated, _} -> ok; {not_migrated, already_leader} -> ok"
        ask_again(lambda: self.server.control("eval", f"{{ok, Q}} = {found}, case {migrated} of {leads} end."))

    def flaw(self) -> str:
        """Return what keeps the cluster, as this node sees it, from outliving the loss of any one node; or nothing."""
        try:
            nodes = json.loads(ask_management(self.management_url, path="/api/nodes", timeout_s=ANSWER_TIMEOUT_S))
            path = "/api/health/checks/node-is-quorum-critical"
            ask_management(self.management_url, path=path, timeout_s=ANSWER_TIMEOUT_S)
        except OSError as error:
            return f"{self.name}: {error}"
        running = [node["name"] for node in nodes if node["running"]]
        return "" if len(running) == len(NODES) else f"{self.name} sees but {', '.join(running)}"

    def _run(self, *command: str) -> None:
        ended = self.server.container.exec(list(command))
        if ended.exit_code != 0:
            raise RuntimeError(f"{' '.join(command)} on {self.name}: {ended.output.decode(errors='replace')}")


class Cluster:
    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def await_whole(self) -> None:
        """Wait until it outlives the loss of any one node. Raises Unavailable.

        After a partition RabbitMQ may leave a member of a queue down for good, until somebody restarts its node.
        """
        try:
            ask_again(self._expect_whole)
        except Unavailable:
            for node in self.nodes:
                node.server.kill()
                node.server.start()
            ask_again(self._expect_whole)

    def _expect_whole(self) -> None:
        if flaws := [flaw for node in self.nodes if (flaw := node.flaw())]:
            raise Unavailable(f"the cluster is not whole: {'; '.join(flaws)}")

    def queue(self, vhost: str, name: str) -> dict[str, Any]:
        """Return what the management tells of the queue: leader, members, online, ..."""
        path = f"/api/queues/{quote(vhost, safe='')}/{quote(name, safe='')}"
        return dict(json.loads(ask_management(self.nodes[0].management_url, path=path)))

    def leader_of(self, vhost: str, queue: str) -> Node:
        leader = self.queue(vhost, queue)["leader"]
        return next(node for node in self.nodes if node.name == leader)


@contextmanager
def new_cluster() -> Iterator[Cluster]:
    """The cluster for as long as the block lasts. Raises Unavailable where no Docker engine answers."""
    engine = reach_engine()
    janitor = Janitor()
    try:
        with step("Starting three RabbitMQ nodes with Docker"):
            have_images(RABBITMQ)
            cluster = start(engine, janitor)
        yield cluster
    finally:
        janitor.close()
        engine.close()


def start(engine: DockerClient, janitor: Janitor) -> Cluster:
    password = secrets.token_hex(16)
    settings = {
        "RABBITMQ_DEFAULT_USER": USER,
        "RABBITMQ_DEFAULT_PASS": password,
        "RABBITMQ_ERLANG_COOKIE": secrets.token_hex(16),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": OPTIONS,
    }
    network = engine.networks.create(f"payment-worker-{secrets.token_hex(4)}")
    janitor.add("network", network.name)
    nodes = []
    for host in HOSTS:
        server = ContainerServer(RABBITMQ, settings, [AMQP_PORT, MANAGEMENT_PORT], janitor)
        endpoint = engine.api.create_endpoint_config(aliases=[host])
        server.container.with_kwargs(hostname=host, network=network.name, networking_config={network.name: endpoint})
        server.launch()
        node = Node(host, server, network, f"{USER}:{password}")
        path = f"/api/health/checks/port-listener/{AMQP_PORT}"
        server.ask = partial(ask_management, node.management_url, path=path, timeout_s=ANSWER_TIMEOUT_S)
        nodes.append(node)
    for node in nodes:
        node.server.await_ready()
    return Cluster(nodes)
