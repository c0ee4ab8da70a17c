"""The systems whose payment messages are accepted, one file each."""

from schemas.sources.ropo import ROPO
from schemas.sources.source import Source

SOURCES: dict[str, Source] = {source.message_type: source for source in (ROPO,)}
"""Message type to source."""

__all__ = ["SOURCES", "Source"]
