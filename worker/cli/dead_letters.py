"""`payment-worker dead-letters`: what could not be processed, and what ops does about it."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import click

from schemas import catalog
from worker.books.dead_letters import (
    Deed,
    FiledLetter,
    State,
    choose_dead_letters,
    edit_dead_letter,
    group_dead_letters,
    list_dead_letters,
    lock_dead_letters,
    mark_dead_letters,
    show_dead_letter,
)
from worker.books.session import Connection
from worker.cli.broker import publisher
from worker.cli.parameters import COMPANY, FILE, ID, KEY, TEXT, WholeNumber, actor_options, choice
from worker.cli.progress import progress
from worker.cli.replay import Replayed, replay_letters
from worker.cli.servers import NotFoundError, books
from worker.cli.terminal import json_option, note, print_record, print_records
from worker.domain.dead_letter import DeadLetter
from worker.domain.errors import ContendedError, DeadLetterReason, PermanentError, UnavailableError
from worker.limits import LETTERS_LISTED, LETTERS_LISTED_MAX, MESSAGE_BYTES_MAX

Result = TypeVar("Result")

STATES: Final[tuple[State, ...]] = get_args(State)
_REPLAYABLE: Final[tuple[State, ...]] = ("open", "replayed", "discarded")
"""What a letter may be that is replayed by its id."""
_COLUMNS = ("id", "state", "reason", "company", "idempotency_key", "type", "count", "last_seen", "error")


class LetterError(PermanentError):
    """A letter is not in a state for what is asked."""


@click.group("dead-letters")
def dead_letters() -> None:
    """List, mend, replay and discard what could not be processed."""


@dead_letters.command("list")
@click.option("--reason", type=choice(DeadLetterReason))
@click.option("--company", type=COMPANY)
@click.option("--state", type=click.Choice(STATES))
@click.option("--limit", type=WholeNumber(1, LETTERS_LISTED_MAX), default=LETTERS_LISTED, show_default=True)
@json_option
def list_letters(*, reason: str | None, company: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List dead letters, the newest first."""
    found = _with_books(
        "dead-letters list",
        lambda connection: list_dead_letters(
            connection, reason=reason, company=company, state=state, rows_max=limit + 1
        ),
    )
    if len(found) > limit:
        note(f"there are more than these {limit:,}: see --limit")
    print_records(found[:limit], _COLUMNS, as_json=as_json, empty="No dead letters.")


@dead_letters.command()
@click.option("--state", type=click.Choice(STATES), default="open", show_default=True)
@json_option
def groups(*, state: str, as_json: bool) -> None:
    """Count dead letters by reason, company and type. The group's name is what `replay --group` takes."""
    found = _with_books("dead-letters groups", lambda connection: group_dead_letters(connection, state))
    columns = ("group", "reason", "company", "type", "count", "first_seen", "last_seen")
    print_records(found, columns, as_json=as_json, empty=f"No dead letters that are {state}.")


@dead_letters.command()
@click.argument("letter_id", metavar="ID", type=ID)
@json_option
def show(*, letter_id: int, as_json: bool) -> None:
    """Show a dead letter with its body, properties, errors, and what was done about it."""
    found = _with_books("dead-letters show", lambda connection: show_dead_letter(connection, letter_id))
    if found is None:
        raise NotFoundError(f"there is no dead letter {letter_id}: see `payment-worker dead-letters list`")
    actions = [_action(action) for action in found["actions"]]
    print_record(found | _body(found["body"]) | {"actions": actions}, as_json=as_json)


@dead_letters.command()
@click.argument("letter_id", metavar="ID", type=ID)
@click.option("--body", "file", type=FILE, metavar="FILE", help="The file that holds the new body.")
@click.option("--type", "message_type", type=click.Choice(sorted(catalog.TYPES)), help="What the message is.")
@click.option("--idempotency-key", "key", type=KEY, help="The key that it is to come under, in the header.")
@click.option("--content-json", "is_json", is_flag=True, help="Say that its content is JSON, and not compressed.")
@actor_options
@json_option
def edit(
    *,
    letter_id: int,
    file: Path | None,
    message_type: str | None,
    key: str | None,
    is_json: bool,
    by: str,
    why: str | None,
    as_json: bool,
) -> None:
    """Mend an open dead letter, to be replayed afterwards: its body, its type, its key."""
    if file is None and message_type is None and key is None and not is_json:
        raise click.UsageError("say what is to be new: --body, --type, --idempotency-key or --content-json")
    body = _read_body(file) if file is not None else None

    def mend(letter: DeadLetter) -> DeadLetter:
        return letter.edited(body=body, message_type=message_type, idempotency_key=key, is_json=is_json)

    try:
        _with_books("dead-letters edit", lambda connection: _edit(connection, letter_id, mend, Deed("edited", by, why)))
    except ContendedError:
        raise LetterError("the very same message is another dead letter already: replay that one") from None
    print_record({"edited": [letter_id]}, as_json=as_json)


@dead_letters.command()
@click.argument("ids", metavar="[ID]...", type=ID, nargs=-1)
@click.option("--reason", type=choice(DeadLetterReason), help="All open ones of this reason.")
@click.option("--group", type=TEXT, help="All open ones of this group; see `groups`.")
@click.option("--all", "is_all", is_flag=True, help="All open ones.")
@click.option("--dry-run", is_flag=True, help="Only say which would be replayed.")
@actor_options
@json_option
def replay(
    *,
    ids: tuple[int, ...],
    reason: str | None,
    group: str | None,
    is_all: bool,
    dry_run: bool,
    by: str,
    why: str | None,
    as_json: bool,
) -> None:
    """Publish dead letters again as they first came: by ID, --reason, --group or --all.

    One that was replayed and is not resolved yet is replayed again only where its ID says so.
    """
    if sum((bool(ids), reason is not None, group is not None, is_all)) != 1:
        raise click.UsageError("give either IDs, --reason, --group or --all")
    chosen = _choose(ids, reason, group)
    if dry_run:
        print_record({"would_replay": chosen}, as_json=as_json)
        return
    states: tuple[State, ...] = _REPLAYABLE if ids else ("open",)
    replayed = asyncio.run(_replay(chosen, states, Deed("replayed", by, why)))
    for letter_id, text in replayed.failed.items():
        note(f"dead letter {letter_id}: {text}")
    print_record({"replayed": replayed.ids, "failed": list(replayed.failed)}, as_json=as_json)
    if replayed.failed:
        raise click.ClickException(f"{len(replayed.failed):,} dead letters could not be replayed")


@dead_letters.command()
@click.argument("ids", metavar="ID...", type=ID, nargs=-1, required=True)
@actor_options
@json_option
def discard(*, ids: tuple[int, ...], by: str, why: str | None, as_json: bool) -> None:
    """Say that nothing is to be done about these dead letters. They are kept."""
    _with_books("dead-letters discard", lambda connection: _discard(connection, ids, Deed("discarded", by, why)))
    print_record({"discarded": sorted(set(ids))}, as_json=as_json)


def _with_books(command: str, do: Callable[[Connection], Awaitable[Result]]) -> Result:
    """Do something in a transaction of its own."""

    async def run() -> Result:
        async with books(command) as session, session.transaction() as connection:
            return await do(connection)

    return asyncio.run(run())


def _choose(ids: Sequence[int], reason: str | None, group: str | None) -> list[int]:
    if not ids:
        return _with_books(
            "dead-letters replay", lambda connection: choose_dead_letters(connection, reason=reason, group=group)
        )
    filed = _with_books("dead-letters replay", lambda connection: _lock(connection, ids, _REPLAYABLE))
    return [each.id for each in filed]


async def _lock(connection: Connection, ids: Sequence[int], states: Sequence[State]) -> list[FiledLetter]:
    """Return the letters. Raises NotFoundError or LetterError where one is missing or in none of the states."""
    filed = await lock_dead_letters(connection, ids)
    missing = sorted(set(ids) - {each.id for each in filed})
    if missing:
        raise NotFoundError(f"there is no dead letter {', '.join(map(str, missing))}; nothing was changed")
    for each in filed:
        if each.state not in states:
            raise LetterError(f"dead letter {each.id} is {each.state}, not {' or '.join(states)}; nothing was changed")
    return filed


def _read_body(file: Path) -> bytes:
    body = file.read_bytes()
    if not 0 < len(body) <= MESSAGE_BYTES_MAX:
        raise click.ClickException(f"{file}: a body has 1 to {MESSAGE_BYTES_MAX:,} bytes")
    return body


async def _edit(connection: Connection, letter_id: int, mend: Callable[[DeadLetter], DeadLetter], deed: Deed) -> None:
    (filed,) = await _lock(connection, [letter_id], ("open",))
    await edit_dead_letter(connection, filed.id, mend(filed.letter), deed)


async def _discard(connection: Connection, ids: Sequence[int], deed: Deed) -> None:
    await _lock(connection, ids, ("open", "replayed"))
    await mark_dead_letters(connection, set(ids), "discarded", deed)


async def _replay(ids: Sequence[int], states: Sequence[State], deed: Deed) -> Replayed:
    replayed = Replayed()
    if not ids:
        return replayed
    try:
        async with books("dead-letters replay") as session, publisher("dead-letters replay") as link:
            with progress("Replaying", "dead letters", len(ids)) as tell:
                await replay_letters(session, link, ids, states, deed, replayed, tell)
    except UnavailableError as error:
        if not replayed.ids:
            raise
        text = f"{error}. {len(replayed.ids):,} were replayed, the others are as they were"
        raise type(error)(text) from error.__cause__
    return replayed


def _action(action: dict[str, Any]) -> dict[str, Any]:
    """Return the action with what an edit replaced, where it was one."""
    body, properties = action.pop("body_before"), action.pop("properties_before")
    body_before = {} if body is None else {f"{name}_before": value for name, value in _body(body).items()}
    return action | body_before | ({} if properties is None else {"properties_before": properties})


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode(), "body_encoding": "utf-8", "body_bytes": len(body)}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "body_encoding": "base64", "body_bytes": len(body)}
