"""The systems whose payment messages are accepted, one file each."""

from schemas.sources.cancel import CANCEL
from schemas.sources.canonical import CANONICAL
from schemas.sources.crm_com import CRM_COM
from schemas.sources.invisible_collector import INVISIBLE_COLLECTOR
from schemas.sources.ivvy import IVVY
from schemas.sources.ropo import ROPO
from schemas.sources.source import Source, without_secrets

SOURCES: dict[str, Source] = {
    source.message_type: source for source in (ROPO, IVVY, INVISIBLE_COLLECTOR, CRM_COM, CANONICAL, CANCEL)
}
"""Message type to source."""

__all__ = ["SOURCES", "Source", "without_secrets"]
