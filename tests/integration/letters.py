"""Dead letters as ops has them: filed, listed, shown and replayed by the command line."""

from typing import Any

from tests.integration.command_line import CommandLine
from tests.site import Site, eventually


async def letters(line: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await line.succeed("dead-letters", "list", "--json", *arguments)).json
    return found


async def shown(line: CommandLine, letter_id: int) -> dict[str, Any]:
    found: dict[str, Any] = (await line.succeed("dead-letters", "show", str(letter_id), "--json")).json
    return found


async def replay(line: CommandLine, *arguments: str) -> list[int]:
    ids: list[int] = (await line.succeed("dead-letters", "replay", "--json", *arguments)).json["replayed"]
    return ids


async def is_in_state(site: Site, state: str, *ids: int) -> None:
    async def all_are() -> bool:
        sql = "SELECT bool_and(state = $1) FROM dead_letters WHERE id = ANY ($2)"
        return bool(await site.database.fetchval(sql, state, list(ids)))

    await eventually(all_are)


async def three_letters(site: Site) -> None:
    """File 1: no JSON of acme, 2: no JSON of other, with a type, 3: an unknown company. The worker has ended then."""
    async with site.worker():
        await site.pay(b"{1", key="k1")
        await site.dead_letters(1)
        await site.pay(b"\xff", key="k2", company="other", type="ropo.payment.v1", headers={"b": bytearray(b"\xff")})
        await site.dead_letters(2)
        await site.pay(key="k3", company="unknown")
        await site.dead_letters(3)
