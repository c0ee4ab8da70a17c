"""How well the links to both servers are protected, as their URLs have it."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from worker.broker.connection import nodes_of

_DATABASE_ADVICE = "add sslmode=verify-full and sslrootcert=<file of the CA> to PAYMENT_WORKER_DATABASE_URL"
_BROKER_ADVICE = "use amqps:// and cafile=<file of the CA> in PAYMENT_WORKER_AMQP_URL"


def weakness_of_database(url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what is wrong with the link to Postgres and what to do; None where it is local or its name is verified.

    The driver's default, and all of its modes but this one, take any certificate of any name, or no TLS at all.
    """
    said = parse_qs(urlsplit(url).query)
    (*_, mode) = said.get("sslmode", [environment.get("PGSSLMODE", "prefer")])
    hosts = [host for host in _hosts(url) if host] or said.get("host", [environment.get("PGHOST", "")])
    if mode == "verify-full" or all(map(_is_local, hosts)):
        return None
    return f"whoever stands in between could pose as Postgres (sslmode is {mode}): {_DATABASE_ADVICE}"


def weakness_of_broker(url: str) -> str | None:
    """Return what is wrong with the link to RabbitMQ and what to do; None where it is local, or verified TLS."""
    if all(map(_is_safe_node, nodes_of(url))):
        return None
    return f"whoever stands in between could pose as RabbitMQ: {_BROKER_ADVICE}"


def _is_safe_node(url: str) -> bool:
    parts = urlsplit(url)
    unverified = parse_qs(parts.query, keep_blank_values=True).get("no_verify_ssl", ["0"])
    return (parts.scheme == "amqps" and set(unverified) == {"0"}) or all(map(_is_local, _hosts(url)))


def _hosts(url: str) -> list[str]:
    """Return the hosts of the URL: Postgres' may have several."""
    hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
    return [host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0] for host in hosts]


def _is_local(host: str) -> bool:
    """Say whether it is this machine: no host, a socket's directory, or a loopback address."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
