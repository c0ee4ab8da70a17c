"""A private RabbitMQ from this system's programs, with an epmd of its own."""

import os
import secrets
import signal

from deploy.servers.answers import ANSWER_TIMEOUT_S, ask_management
from deploy.servers.janitor import Janitor
from deploy.servers.native import NativeServer
from deploy.servers.packages import Programs
from deploy.servers.place import Command, Place
from deploy.servers.unavailable import Unavailable

USER = "payment_worker"
CONTROL_TIMEOUT_S = 60.0


class RabbitMq(NativeServer):
    """RabbitMQ with the management plugin, on three ports of 127.0.0.1; a fourth is its epmd's.

    It is as it comes, but for its threads, which may run on any core.
    """

    name = "RabbitMQ"
    sweep = "group"
    stop_signal = signal.SIGTERM

    def __init__(self, programs: Programs, place: Place, ports: tuple[int, int, int, int], janitor: Janitor) -> None:
        super().__init__(place, janitor)
        self._programs = programs
        self._amqp_port, self._management_port, self._cluster_port, self._epmd_port = ports
        self._password = secrets.token_hex(16)
        self.amqp_url = f"amqp://{USER}:{self._password}@127.0.0.1:{self._amqp_port}/"
        self.management_url = f"http://{USER}:{self._password}@127.0.0.1:{self._management_port}"

    def create(self) -> None:
        """Write the configuration and start the name service that Erlang insists on."""
        settings = {
            "listeners.tcp.local": f"127.0.0.1:{self._amqp_port}",
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": self._management_port,
            "default_user": USER,
            "default_pass": self._password,
        }
        self.place.write("rabbitmq.conf", "".join(f"{name} = {value}\n" for name, value in settings.items()))
        self.place.write("enabled_plugins", "[rabbitmq_management].\n")
        self.place.write("rabbitmq-env.conf", "")
        self.place.write("advanced.config", "[].\n")
        command: Command = [self._programs.epmd, "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        self.janitor.adopt("group", self.place.run(command, {}, self.place.folder / "epmd.log"))

    def command(self) -> tuple[Command, dict[str, str]]:
        folder = self.place.folder
        environment = {
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"{folder.parent.name}@localhost",
            "RABBITMQ_DIST_PORT": str(self._cluster_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # It shares the cores: a thread bound to one would wait for it while another is free.
            "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            # Without its shell around it, so that signals reach the server itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        return [self._programs.rabbitmq / "rabbitmq-server"], environment

    def control(self, *arguments: str) -> None:
        """Run rabbitmqctl with the arguments. Raises Unavailable when that fails."""
        _, environment = self.command()
        control = self.place.run([self._programs.rabbitmq / "rabbitmqctl", *arguments], environment, self.log)
        if control.wait(CONTROL_TIMEOUT_S) != 0:
            raise Unavailable(f"rabbitmqctl {arguments[0]} failed: {self.log_tail()}")

    def ask(self) -> None:
        path = f"/api/health/checks/port-listener/{self._amqp_port}"
        ask_management(self.management_url, path=path, timeout_s=ANSWER_TIMEOUT_S)

    def strike(self, pid: int) -> None:
        os.killpg(pid, signal.SIGKILL)
