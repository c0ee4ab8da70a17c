"""Settings, from the environment under PAYMENT_WORKER_; a secret can come from the file that …_FILE names."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from schemas.invalid import field_errors
from worker.domain.errors import PermanentError
from worker.limits import (
    AUDIT_PAUSE_S,
    AUDIT_PAUSE_S_MAX,
    BATCH_MESSAGES_MAX,
    PREFETCH_MESSAGES,
    PREFETCH_MESSAGES_MAX,
    SHUTDOWN_DEADLINE_S,
)

PREFIX = "PAYMENT_WORKER_"
_EMPTY = "is empty"
UrlName: TypeAlias = Literal["amqp_url", "database_url"]


class SettingsError(PermanentError):
    """A setting is missing or makes no sense."""


class Settings(BaseModel):
    """All there is to set. The URLs hold passwords, so they print as stars."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    amqp_url: SecretStr = Field(
        description="RabbitMQ: amqp:// or amqps://user:password@host:port/vhost; one for each node, with commas between"
    )
    database_url: SecretStr = Field(description="Postgres: postgresql://user:password@host:port/database")
    http_host: str = Field(default="0.0.0.0", description="Address for /livez, /readyz and /metrics")  # noqa: S104
    http_port: int = Field(default=8080, ge=0, le=65_535, description="Port for them; 0 takes a free one")
    batch_messages: int = Field(
        default=BATCH_MESSAGES_MAX, ge=1, le=BATCH_MESSAGES_MAX, description="Messages in one transaction, at most"
    )
    prefetch_messages: int = Field(
        default=PREFETCH_MESSAGES, ge=1, le=PREFETCH_MESSAGES_MAX, description="Unacknowledged deliveries of a queue"
    )
    audit_pause_s: float = Field(
        default=AUDIT_PAUSE_S,
        ge=0,
        le=AUDIT_PAUSE_S_MAX,
        description="Between two slices of the books that are audited all the time, at least; 0 turns that off",
    )
    shutdown_deadline_s: float = Field(
        default=SHUTDOWN_DEADLINE_S,
        gt=0,
        description="Time to finish what is in hand after SIGTERM, before it is left to redelivery",
    )
    timezone: str = Field(default="UTC", description="Where payment dates are days, e.g. Europe/Helsinki")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="What is logged")
    log_format: Literal["json", "console"] = Field(default="json", description="json, or console for people")

    @field_validator("amqp_url", "database_url")
    @classmethod
    def _not_empty(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value():
            raise ValueError(_EMPTY)
        return url

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be a time zone such as Europe/Helsinki") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings. Raises SettingsError, which names each variable that is wrong and never its value."""
    said = {name: _said(name, environment) for name in Settings.model_fields}
    try:
        return Settings.model_validate({name: text for name, text in said.items() if text is not None})
    except ValidationError as error:
        told = (f"{PREFIX}{item['field'].upper()}: {item['message']}" for item in field_errors(error))
        raise SettingsError("; ".join(told)) from None


def read_url(name: UrlName, environment: Mapping[str, str] = os.environ) -> str:
    """Return one of the two URLs, for what needs no other setting. Raises SettingsError as read_settings() does."""
    url = _said(name, environment)
    if not url:
        raise SettingsError(f"{PREFIX}{name.upper()}: " + ("Field required" if url is None else _EMPTY))
    return url


def _said(name: str, environment: Mapping[str, str]) -> str | None:
    """Return what the environment, or the file that it names, says of a setting; None where it says nothing."""
    variable = PREFIX + name.upper()
    path = environment.get(f"{variable}_FILE")
    return _read_secret(f"{variable}_FILE", path) if path else environment.get(variable)


def _read_secret(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        # Not which: somebody may have put the secret itself there.
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SettingsError(f"{variable}: cannot read the file that it names: {why}") from None
