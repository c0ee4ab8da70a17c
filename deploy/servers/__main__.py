"""`python -m deploy.servers COMMAND...` runs the command with the servers' URLs in its environment."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import FrameType

from deploy.servers import Servers, Unavailable, provide
from deploy.servers.janitor import Janitor

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KILLED = 128
NOT_RUN = 127

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


def main(command: list[str]) -> int:
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        print("usage: python -m deploy.servers COMMAND [ARGUMENT]...", file=sys.stderr)
        return 2
    handle(give_up)
    try:
        with provide() as servers:
            return run(command, servers)
    except Unavailable as error:
        print(f"No servers: {error}.", file=sys.stderr)
        return 1


def handle(handler: Handler) -> None:
    for number in SIGNALS:
        signal.signal(number, handler)


def give_up(number: int, _: FrameType | None) -> None:
    """Leave by the way that sweeps up; a second signal does not disturb the sweeping."""
    handle(signal.SIG_IGN)
    sys.exit(KILLED + number)


def run(command: list[str], servers: Servers) -> int:
    """Run the command to its end, handing on the signals; its exit status, as a shell would have it."""
    urls = servers.environment()
    inherited = {name: text for name, text in os.environ.items() if name.removesuffix("_FILE") not in urls}
    early: list[int] = []
    handle(lambda number, _: early.append(number))
    janitor = Janitor()
    try:
        running = subprocess.Popen(command, env={**inherited, **urls})
        # So that it does not outlive a runner that is killed.
        janitor.adopt("command", running)

        def hand_on(number: int, _: FrameType | None) -> None:
            # A terminal sends Ctrl-C to the command as well.
            if number != signal.SIGINT or not sys.stdin.isatty():
                running.send_signal(number)

        handle(hand_on)
        for number in early:
            hand_on(number, None)
        status = running.wait()
        janitor.drop("command", running.pid)
    except OSError as error:
        print(f"Cannot run {command[0]}: {error.strerror}.", file=sys.stderr)
        status = NOT_RUN
    finally:
        handle(signal.SIG_IGN)
        janitor.close()
    return status if status >= 0 else KILLED - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
