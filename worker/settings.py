"""Settings, from the environment under PAYMENT_WORKER_; a secret can come from the file that …_FILE names."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from schemas.invalid import field_errors
from worker.domain.errors import PermanentError
from worker.limits import BATCH_MESSAGES_MAX, PREFETCH_MESSAGES

PREFIX = "PAYMENT_WORKER_"


class SettingsError(PermanentError):
    """A setting is missing or makes no sense."""


class Settings(BaseModel):
    """All there is to set. The URLs hold passwords, so they print as stars."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    amqp_url: SecretStr = Field(description="RabbitMQ: amqp:// or amqps://user:password@host:port/vhost")
    database_url: SecretStr = Field(description="Postgres: postgresql://user:password@host:port/database")
    http_host: str = Field(default="0.0.0.0", description="Address for /livez, /readyz and /metrics")  # noqa: S104
    http_port: int = Field(default=8080, ge=0, le=65_535, description="Port for them; 0 takes a free one")
    batch_messages: int = Field(
        default=BATCH_MESSAGES_MAX, ge=1, le=BATCH_MESSAGES_MAX, description="Messages in one transaction, at most"
    )
    prefetch_messages: int = Field(
        default=PREFETCH_MESSAGES, ge=1, le=2_000, description="Unacknowledged deliveries of a queue"
    )
    shutdown_deadline_s: float = Field(
        default=25.0, gt=0, description="Time to finish what is in hand after SIGTERM, before it is left to redelivery"
    )
    timezone: str = Field(default="UTC", description="Where payment dates are days, e.g. Europe/Helsinki")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="What is logged")
    log_format: Literal["json", "console"] = Field(default="json", description="json, or console for people")

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
    said: dict[str, str] = {}
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        path = environment.get(f"{variable}_FILE")
        if path is not None:
            said[name] = _read_secret(f"{variable}_FILE", path)
        elif variable in environment:
            said[name] = environment[variable]
    try:
        return Settings.model_validate(said)
    except ValidationError as error:
        told = (f"{PREFIX}{item['field'].upper()}: {item['message']}" for item in field_errors(error))
        raise SettingsError("; ".join(told)) from None


def _read_secret(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: cannot read the file: {type(error).__name__}") from None
