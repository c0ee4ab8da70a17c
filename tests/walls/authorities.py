"""Certificates for the walls' tests: a trusted authority, one that nobody knows, and what they sign."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trustme

RIGHT_NAMES = ("localhost", "127.0.0.1")
"""How the tests reach a server of this machine."""
WRONG_NAME = "elsewhere.example"


@dataclass(frozen=True)
class Certificate:
    """A certificate with its chain and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authorities:
    """A certification authority and what it signed; and another one, whose certificates are worth nothing here."""

    ca: Path
    """What servers and clients are to trust, as a PEM file."""
    unknown_ca: Path
    server: Certificate
    """Of this machine: `localhost` and 127.0.0.1."""
    named_server: Certificate
    """Of `localhost` alone: who reaches it by 127.0.0.1 is shown a wrong name."""
    misnamed_server: Certificate
    """Signed by the trusted authority, but for another name."""
    unknown_server: Certificate
    """Of this machine, but signed by the unknown authority."""
    client_of: Callable[[str], Certificate]
    """Returns a client's certificate whose common name is the user's."""
    unknown_client_of: Callable[[str], Certificate]
    """The same, signed by the unknown authority."""


def new_authorities(folder: Path) -> Authorities:
    """Make them all in the folder, which is made where it is missing. Keys are readable for their owner alone."""
    folder.mkdir(parents=True, exist_ok=True)
    trusted, unknown = trustme.CA(), trustme.CA()
    ca, unknown_ca = folder / "ca.pem", folder / "unknown-ca.pem"
    trusted.cert_pem.write_to_path(str(ca))
    unknown.cert_pem.write_to_path(str(unknown_ca))

    def signer(authority: trustme.CA, prefix: str) -> Callable[[str], Certificate]:
        def client_of(user: str) -> Certificate:
            # Some name there must be; what counts for a client is its common name.
            return _write(authority.issue_cert("client.example", common_name=user), folder / f"{prefix}-{user}")

        return client_of

    return Authorities(
        ca=ca,
        unknown_ca=unknown_ca,
        server=_write(trusted.issue_cert(*RIGHT_NAMES), folder / "server"),
        named_server=_write(trusted.issue_cert(RIGHT_NAMES[0]), folder / "named-server"),
        misnamed_server=_write(trusted.issue_cert(WRONG_NAME), folder / "misnamed-server"),
        unknown_server=_write(unknown.issue_cert(*RIGHT_NAMES), folder / "unknown-server"),
        client_of=signer(trusted, "client"),
        unknown_client_of=signer(unknown, "unknown-client"),
    )


def _write(leaf: trustme.LeafCert, stem: Path) -> Certificate:
    certificate, key = stem.with_name(f"{stem.name}.pem"), stem.with_name(f"{stem.name}-key.pem")
    for blob, append in zip(leaf.cert_chain_pems, [False, *[True] * len(leaf.cert_chain_pems)], strict=False):
        blob.write_to_path(str(certificate), append=append)
    key.touch(mode=0o600)
    leaf.private_key_pem.write_to_path(str(key))
    return Certificate(certificate, key)
