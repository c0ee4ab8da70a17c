"""TLS on a Postgres of our own: its certificate, and who must show one, set while it runs and taken back after it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.site import eventually
from tests.walls.authorities import Authorities, Certificate

CA = "walls-ca.pem"


class TlsServer:
    """Speaks to the server as its superuser; the server itself writes the files, into its data directory."""

    def __init__(self, url: str, administrator: asyncpg.Connection) -> None:
        self._url = url
        self._administrator = administrator

    async def show(self, certificate: Certificate) -> None:
        """Have the server show this certificate to whoever connects from now on."""
        names = (f"walls-{certificate.certificate.name}", f"walls-{certificate.key.name}")
        for name, source in zip(names, (certificate.certificate, certificate.key), strict=True):
            await self.write(name, await asyncio.to_thread(source.read_text))
        await self._set(ssl="on", ssl_cert_file=names[0], ssl_key_file=names[1], ssl_ca_file=CA)

    async def reset(self) -> None:
        """Have no TLS any more."""
        await self._set(ssl="off")
        await self._administrator.execute("ALTER SYSTEM RESET ALL")
        await self._run("rm -f walls-*")

    async def write(self, name: str, text: str) -> None:
        lines = f"SELECT unnest(string_to_array('{text}', E'\\n'))"
        await self._administrator.execute(f"COPY ({lines}) TO PROGRAM 'umask 077; cat > {name}'")

    @asynccontextmanager
    async def asks_for_a_certificate_of(self, login: str) -> AsyncIterator[None]:
        """For as long as the block lasts the login must show a client's certificate with its name."""
        await self._run(f'sed -i "1i hostssl all {login} all cert" pg_hba.conf')
        await self._administrator.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            await self._run("sed -i 1d pg_hba.conf")
            await self._administrator.execute("SELECT pg_reload_conf()")

    async def _run(self, command: str) -> None:
        # No row: a command that ends without reading it would have broken the pipe.
        await self._administrator.execute(f"COPY (SELECT 1 WHERE false) TO PROGRAM '{command}'")

    async def _set(self, **settings: str) -> None:
        for name, value in settings.items():
            await self._administrator.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await self._administrator.execute("SELECT pg_reload_conf()")

        async def are_in_force() -> bool:
            connection = await asyncpg.connect(self._url)
            try:
                return {name: await connection.fetchval(f"SHOW {name}") for name in settings} == settings
            finally:
                await connection.close()

        await eventually(are_in_force)


@asynccontextmanager
async def tls_server(url: str, authorities: Authorities) -> AsyncIterator[TlsServer]:
    """The server of the URL with TLS, for as long as the block lasts; its certificate is sound at first."""
    administrator = await asyncpg.connect(url)
    server = TlsServer(url, administrator)
    try:
        await server.write(CA, await asyncio.to_thread(authorities.ca.read_text))
        await server.show(authorities.server)
        yield server
    finally:
        await server.reset()
        await administrator.close()
