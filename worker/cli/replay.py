"""Dead letters sent through the same door again.

A window of letters is locked, published, confirmed, and only then marked as replayed, all in one transaction. Broken
off anywhere, a letter stays open, and replaying it again books nothing twice. A worker that is done with a message
before the mark is written waits for the lock before it resolves the letter.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

from schemas.catalog import is_company
from worker.books.dead_letters import Deed, FiledLetter, State, lock_dead_letters, mark_dead_letters
from worker.books.session import Session
from worker.broker.delivery import DEAD_LETTER_ID_HEADER
from worker.broker.properties import copied, copyable, from_json
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.broker.topology import BINDINGS, RETRY_RETURN
from worker.limits import REPLAY_WINDOW_LETTERS


@dataclass(slots=True)
class Replayed:
    """How a replay went."""

    ids: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    """Id → why the letter was not published; it is as it was."""


async def replay_letters(
    session: Session,
    publisher: Publisher,
    ids: Sequence[int],
    states: Container[State],
    deed: Deed,
    replayed: Replayed,
    tell: Callable[[int, int], None],
) -> None:
    """Publish the letters whose state is one of the states and write down into `replayed` which have been.

    Raises LinkLostError, and as Session.transaction() does; what has been written down by then is done.
    """
    for start in range(0, len(ids), REPLAY_WINDOW_LETTERS):
        async with session.transaction() as connection:
            filed = await lock_dead_letters(connection, ids[start : start + REPLAY_WINDOW_LETTERS])
            routed, failed = await _publish([each for each in filed if each.state in states], publisher)
            await mark_dead_letters(connection, routed, "replayed", deed)
        replayed.ids += routed
        replayed.failed |= failed
        tell(start + len(filed), len(replayed.ids))


async def _publish(filed: Sequence[FiledLetter], publisher: Publisher) -> tuple[list[int], dict[int, str]]:
    """Publish the letters as they first came; return the ids that a queue took, and why the others were not."""
    publications: dict[int, Publication] = {}
    failed: dict[int, str] = {}
    for each in filed:
        publication = _publication(each)
        if publication is None:
            failed[each.id] = "its properties are no text, or too large: no client can publish them. Discard it"
        else:
            publications[each.id] = publication
    routed = await publisher.publish(list(publications.values()))
    for letter_id, is_routed in zip(publications, routed, strict=True):
        if not is_routed:
            failed[letter_id] = _unrouted(publications[letter_id].routing_key)
    return [letter_id for letter_id in publications if letter_id not in failed], failed


def _unrouted(routing_key: str) -> str:
    topic, _, company = routing_key.partition(".")
    if f"{topic}.*" in BINDINGS.values() and is_company(company):
        return "no queue takes its routing key: run `payment-worker setup`"
    return "its routing key is neither registration.<company> nor invoice.<company>, so no queue takes it. Discard it"


def _publication(filed: FiledLetter) -> Publication | None:
    letter = filed.letter
    try:
        stored = from_json(letter.properties)
        if not copyable(stored):
            return None
        properties = copied(stored, {DEAD_LETTER_ID_HEADER: filed.id})
        # Not to `payments`: nobody else who has bound a queue there gets it twice, and ops needs no right to it.
        return Publication(RETRY_RETURN, letter.routing_key, letter.body, properties)
    except (ValueError, TypeError):
        return None
