"""`payment-worker run`."""

import errno
import socket

import click

from worker.app import run as run_worker
from worker.cli.servers import read_urls
from worker.telemetry import configure_logging


@click.command()
def run() -> None:
    """Run a worker until SIGTERM or Ctrl-C. A server that is away is waited for."""
    settings, _, _ = read_urls()
    configure_logging(settings.log_level, settings.log_format)
    try:
        run_worker(settings)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            where = f"{settings.http_host}:{settings.http_port}"
            advice = "set PAYMENT_WORKER_HTTP_HOST and PAYMENT_WORKER_HTTP_PORT (0 takes a free port)"
            raise click.ClickException(f"cannot serve HTTP on {where}: {error.strerror}; {advice}") from None
        raise
