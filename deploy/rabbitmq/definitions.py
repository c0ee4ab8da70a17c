#!/usr/bin/env python3
"""Writes RabbitMQ definitions with one user a role, to be imported: who may do what, and nothing beyond it.

    deploy/rabbitmq/definitions.py --passwords DIR COMPANY... > definitions.json
    rabbitmqctl import_definitions definitions.json

Each user's password is read from the file of the user's name in DIR, and made there where it is missing; the
definitions hold salted hashes alone. Written again with one more company, they may be imported again. It needs Python
and nothing else, so that it runs beside the broker.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMPANY = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
VHOST = "/"
TOPICS = ("payments", "payments.outcomes", "payments.dead-letter", "payments.retry.return")
OUTCOME_KEY = r"^outcome\."
INCOMING_KEY = r"^(registration|invoice)\."
PASSWORD_BYTES = 32
SALT_BYTES = 4
"""As RabbitMQ's rabbit_password_hashing_sha256 has it."""


def exactly(*patterns: str) -> str:
    """Return what matches one of the patterns from end to end; `$` would let a line feed follow."""
    return rf"^({'|'.join(patterns)})\z"


NOTHING = exactly()
ANYTHING = ".*"


@dataclass(frozen=True)
class Role:
    """A user and its rights: patterns of the names that it may configure, write and read.

    topics: exchange → the routing keys that it may publish there, and may bind with.
    """

    name: str
    configure: str = NOTHING
    write: str = NOTHING
    read: str = NOTHING
    topics: dict[str, tuple[str, str]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


def upstream(company: str) -> Role:
    """Publishes the company's messages. It gets answers through RabbitMQ's direct reply-to, which asks for no right."""
    keys = exactly(rf"(registration|invoice)\.{re.escape(company)}")
    return Role(f"upstream.{company}", write=exactly("payments"), topics={"payments": (keys, NOTHING)})


def downstream(company: str) -> Role:
    """Has queues of its own, named outcomes.<company>.<anything>, and binds them to its company's outcomes."""
    own = rf"outcomes\.{re.escape(company)}\..+"
    return Role(
        f"downstream.{company}",
        configure=exactly(own),
        write=exactly(own),
        read=exactly(own, r"payments\.outcomes"),
        topics={"payments.outcomes": (NOTHING, exactly(rf"outcome\.{re.escape(company)}\.[a-z_*#]+"))},
    )


def own_roles() -> list[Role]:
    """Return what the company that runs the worker needs itself."""
    topology = exactly("payments", r"payments\..+")
    temporary = r"amq\.gen-.+", r"outcomes\.[a-z0-9-]+\.follow-[0-9a-f]+"
    return [
        Role(
            "worker",
            # A reply goes through the default exchange, which permissions know as amq.default.
            write=exactly(
                r"payments\.outcomes", r"payments\.dead-letter", r"payments\.retry\.[0-9]+s", r"amq\.default"
            ),
            read=exactly(r"payments\.(registrations|invoices|dead-letters)"),
            topics={"payments.outcomes": (OUTCOME_KEY, NOTHING)},
        ),
        Role(
            "setup",
            configure=topology,
            write=topology,
            read=topology,
            topics=dict.fromkeys(TOPICS, (NOTHING, ANYTHING)),
        ),
        # Replays dead letters, resends outcomes, follows the outcomes of all.
        Role(
            "ops",
            configure=exactly(*temporary),
            write=exactly(r"payments\.retry\.return", r"payments\.outcomes", *temporary),
            read=exactly(r"payments\.outcomes", *temporary),
            topics={"payments.retry.return": (INCOMING_KEY, NOTHING), "payments.outcomes": (OUTCOME_KEY, ANYTHING)},
        ),
        Role("monitoring", tags=("monitoring",)),
    ]


def definitions(roles: Sequence[Role], passwords: dict[str, str], vhost: str = VHOST) -> dict[str, Any]:
    """Return the definitions of the roles in the vhost; passwords: by the role's name."""
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {
                "name": role.name,
                "password_hash": password_hash(passwords[role.name]),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": list(role.tags),
            }
            for role in roles
        ],
        "permissions": [
            {"user": role.name, "vhost": vhost, "configure": role.configure, "write": role.write, "read": role.read}
            for role in roles
        ],
        "topic_permissions": list(_topic_permissions(roles, vhost)),
    }


def _topic_permissions(roles: Sequence[Role], vhost: str) -> Iterator[dict[str, str]]:
    for role in roles:
        for exchange, (write, read) in role.topics.items():
            yield {"user": role.name, "vhost": vhost, "exchange": exchange, "write": write, "read": read}


def password_hash(password: str) -> str:
    """Return the password salted and hashed as RabbitMQ keeps it."""
    salt = secrets.token_bytes(SALT_BYTES)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def kept_password(folder: Path, user: str) -> str:
    """Return the password in the folder's file of the user's name, which is made where it is missing."""
    file = folder / user
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        password = file.read_text(encoding="utf-8").strip()
        if not password:
            raise SystemExit(f"{file}: is empty; put a password there, or remove it to have one made") from None
        return password
    with os.fdopen(descriptor, "w", encoding="utf-8") as new:
        new.write(secrets.token_urlsafe(PASSWORD_BYTES) + "\n")
    return kept_password(folder, user)


def company_name(text: str) -> str:
    if COMPANY.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no company: lower-case letters, digits and hyphens, 63 at most")
    return text


def main() -> None:
    """Write the definitions to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passwords", type=Path, required=True, metavar="DIR", help="a file for each user's password")
    parser.add_argument("--vhost", default=VHOST, help="the vhost of the topology (%(default)s)")
    parser.add_argument("companies", nargs="*", type=company_name, metavar="COMPANY")
    asked = parser.parse_args()
    roles = own_roles() + [role_of(company) for company in asked.companies for role_of in (upstream, downstream)]
    try:
        asked.passwords.mkdir(mode=0o700, parents=True, exist_ok=True)
        passwords = {role.name: kept_password(asked.passwords, role.name) for role in roles}
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}") from None
    json.dump(definitions(roles, passwords, asked.vhost), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
