"""The only place that reads the environment: every setting, its default, and the reason for it."""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from payments.processors.routing import Route
from service import data_dir as embedded_data_dir
from service.broker_settings import TOLD, BrokerUrl, QueueNames
from service.console_settings import ConsoleSettings
from service.database.database_url import normalised
from service.environment import misspelled
from service.environment.value_files import SUFFIX, ValueFiles
from service.kept_settings import KeptSettings
from service.metrics.telemetry_settings import TelemetrySettings
from service.network_settings import HttpSettings, Networks
from service.process.process_settings import ProcessSettings
from service.processor_settings import SECONDS, ApprovedAbove, ProcessorSettings
from service.settings_errors import NothingRuns, SettingsError
from service.stripe_settings import StripeSettings

PREFIX = "BILLING_"

# Read by the SDK (infra.billing) or by users' scripts, not by the worker: known, so not refused.
FOREIGN_VARIABLES = frozenset({"URL", "API_KEY", "SIGNING_KEY"})


class Settings(
    ProcessorSettings,
    StripeSettings,
    KeptSettings,
    ConsoleSettings,
    HttpSettings,
    TelemetrySettings,
    ProcessSettings,
):
    """Everything that can be set. A field's description says what its variable must be; the comment
    above it, what it is for and why the default is so (docs/reference/settings.md shows both)."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,  # docker compose hands over unset variables as empty ones
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # a wrong URL still holds a right password
        validate_default=True,
    )

    # The database. Unset, the embedded PostgreSQL, so that a first run needs no server.
    database_url: str = Field(
        default="",
        repr=False,
        description="a PostgreSQL URL such as postgresql+psycopg://user:password@host:5432/name,"
        " perhaps with several hosts: …@host1:5432,host2:5432/name",
    )
    # Where migrations connect. Unset, the same URL. They need a session of their own, which a
    # pooler in transaction mode doesn't give; and with a role of their own, which owns the tables,
    # the service's role may not change history.
    database_direct_url: str = Field(
        default="",
        repr=False,
        description="a PostgreSQL URL of the same database without a connection pooler in front,"
        " perhaps of the role that owns the tables",
    )
    # The broker. Unset, the embedded Redis-compatible server, for the same reason.
    broker_url: BrokerUrl = Field(
        default="",
        repr=False,
        description="a broker URL with host: redis://…, rediss://…, sentinel://…, amqp://… or"
        " amqps://…",
    )
    # Queues that workers read besides `payments`, for producers whose queue name can't be changed.
    # Any other task found there is quarantined, so don't name a queue that others use.
    extra_queues: QueueNames = Field(
        default=(),
        description="names of queues separated by commas, such as celery,orders (letters, digits,"
        " . _ - only), none of them payments, webhooks or billing.dead",
    )
    # Whether messages must be signed by their producer. Off, because producers sign only once they
    # have a key; `accept` is the step on the way to `require`.
    broker_signatures: Literal["off", "accept", "require"] = Field(
        default="off", description="off, accept or require"
    )
    # Where the embedded servers keep their data. In the checkout, hidden and ignored by git: one
    # installation is one folder, easy to delete, the same from whatever directory `billing` runs.
    data_dir: Path = Field(
        default=Path(__file__).parents[1] / ".billing",
        description="a folder that may be created and written to",
    )
    # How much of one charge may be refunded without approval, in minor units, by currency: a refund
    # that exceeds that waits until a second person approves it. Unset, none waits.
    approve_refunds_above: ApprovedAbove = Field(
        default_factory=dict,
        description="currencies, or * for all others, with an amount in minor units, separated by"
        " commas, such as USD:50000,EUR:50000,*:0",
    )
    # Whether a decision about what needs review must be approved by a second person. Off: often
    # only one person is on call.
    approve_resolve: Literal["off", "on"] = Field(default="off", description="off or on")
    # Private networks that webhooks may reach. None: otherwise everyone who may add an endpoint
    # could make this service call your internal services.
    webhook_allow_private: Networks = Field(
        default=(),
        description="networks separated by commas, such as 127.0.0.0/8,::1/128,10.20.0.0/16",
    )
    # The format of log lines. For people by default; set json where a machine reads them.
    log_format: Literal["console", "json"] = Field(default="console", description="console or json")
    # The minimum level that is logged. Info has what is refused, lost or found; the tables the
    # rest.
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )
    # How long a worker's lease of a row lasts. When a worker dies, its rows are taken over this and
    # a second later, within 30 s. It has room for a look-up, a repeated call and their settlement.
    lease_s: float = Field(default=25.0, gt=0, le=600, description="seconds, above 0, at most 600")
    # How long a charge waits for its customer before it is canceled, unless it has `expires_in_s`.
    # A customer who hasn't come back in a day has gone.
    customer_wait_s: int = Field(default=86_400, ge=1, le=31_536_000, description=SECONDS)
    # The deadline of one call to a processor (connect, send and read together). Ample when all is
    # well; a call that takes longer counts as unknown and is looked up.
    call_deadline_s: float = Field(
        default=10.0, gt=0, le=300, description="seconds, above 0 and below half BILLING_LEASE_S"
    )
    # How charges and refunds are carried: on one event loop, at half the cost; or a thread each.
    dispatch: Literal["loop", "threads"] = Field(default="loop", description="loop or threads")
    # How many charges and refunds a worker has in flight: at 300 ms each, 256 are 850 charges/s.
    slots: int = Field(default=256, ge=1, le=1_024, description="a whole number from 1 to 1024")
    # How long one webhook endpoint is served before the next in the queue gets the slot.
    drain_s: float = Field(default=20.0, gt=0, le=60, description="seconds, above 0, at most 60")
    # How long a worker finishes its work after SIGQUIT: two calls at their deadline and more.
    shutdown_s: float = Field(default=25.0, ge=0, le=600, description="seconds from 0 to 600")

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _database_url(cls, value: str) -> str:
        return normalised(value) if value else value

    @field_validator("processor")
    @classmethod
    def _processor(cls, value: str, info: ValidationInfo) -> str:
        names = info.data.get("processors", ())  # absent when they are wrong, which is told
        if names and value and value not in names:
            raise ValueError
        return value or next(iter(names), "")

    @field_validator("processor_routes")
    @classmethod
    def _routes(cls, value: tuple[Route, ...], info: ValidationInfo) -> tuple[Route, ...]:
        names = info.data.get("processors", ())
        if names and any(route.processor not in names for route in value):
            raise ValueError
        return value

    @property
    def migrated_at(self) -> str:
        """The URL that migrations go to."""
        return self.database_direct_url or self.database_url

    @model_validator(mode="after")
    def _call_fits_its_lease(self) -> Self:
        # A row in doubt takes two calls under one lease: the look-up, and perhaps the repeat.
        if self.call_deadline_s * 2 >= self.lease_s:
            raise ValueError(f"{PREFIX}CALL_DEADLINE_S must be below half of {PREFIX}LEASE_S")
        return self

    @model_validator(mode="after")
    def _stripe_has_a_key(self) -> Self:
        if "stripe" in self.processors and not self.stripe_api_key.get_secret_value():
            raise ValueError(f"{PREFIX}STRIPE_API_KEY must be set, as a processor is stripe")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, files that the environment names, then the environment itself. No .env file:
        one visible place for settings."""
        return (init_settings, ValueFiles(settings_cls, os.environ, prefix=PREFIX), env_settings)


def read(**overrides: Any) -> Settings:
    """The settings as given, URLs possibly unset (""): for `billing up`, which starts servers.

    Arguments override the environment. Raises SettingsError.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(explain(error)) from None  # the cause would show the values
    known = [*Settings.model_fields, *FOREIGN_VARIABLES]
    known += [f"{name}{SUFFIX}" for name in Settings.model_fields]
    if wrong := misspelled.find(os.environ, known, prefix=PREFIX):
        raise SettingsError(f"{wrong[0]} is not a setting; did you mean {wrong[1]}?")
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})


def load(**overrides: Any) -> Settings:
    """The settings with both URLs filled in: unset ones are those of the running `billing up`.

    Raises SettingsError, also if a URL is unset and nothing runs in the data folder.
    """
    settings = read(**overrides)
    missing = [name for name in ("database_url", "broker_url") if not getattr(settings, name)]
    if not missing:
        return settings
    try:
        running = embedded_data_dir.running(settings.data_dir)
    except embedded_data_dir.DataDirError as error:
        raise SettingsError(str(error)) from None
    for name in missing:
        if name not in running:
            raise NothingRuns(settings.data_dir, variable(name))
    found: dict[str, object] = {name: running[name] for name in missing}
    if "database_url" in missing and not settings.database_direct_url:
        found["database_direct_url"] = running.get("database_direct_url", "")
    if "database_url" in missing and not settings.encryption_keys.get_secret_value():
        # Those of `billing up`: its processes must be able to read what a command encrypts.
        keys = running.get("encryption_keys") or embedded_data_dir.encryption_key(settings.data_dir)
        found["encryption_keys"] = SecretStr(keys)
    if "database_url" in missing and not settings.webhook_allow_private:
        # An endpoint that is added there may be any that its webhooks worker delivers to.
        allowed = running.get("webhook_allow_private", "").split(",")
        found["webhook_allow_private"] = tuple(ip_network(one) for one in allowed if one)
    return settings.model_copy(update=found)


def environ_of(settings: Settings, **others: str) -> dict[str, str]:
    """The environment for a child process with exactly these settings and `others`.

    It contains passwords; the kernel shows a process's environment to its own user only.
    """
    given = {
        variable(name): _as_text(getattr(settings, name))
        for name in Settings.model_fields
        if getattr(settings, name) != Settings.model_fields[name].default
    }
    return outside_environ() | given | others


def outside_environ() -> dict[str, str]:
    """The environment without our settings."""
    return {
        name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)
    }


def explain(error: ValidationError) -> str:
    """One line per wrong setting: the variable's name and what it expects, never its value."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        if not problem["loc"]:
            lines.append(problem["msg"].removeprefix("Value error, "))
            continue
        name = str(problem["loc"][0])
        field = Settings.model_fields.get(name)
        if problem["type"] == TOLD:
            assert field, "only fields have errors of ours"
            lines.append(f"{variable(name)} must be {field.description}; it {problem['msg']}")
            continue
        expects = f"must be {field.description}" if field else "is not a setting"
        lines.append(f"{variable(name)} {expects}")
    return "\n".join(dict.fromkeys(lines))


def variable(name: str) -> str:
    """The environment variable of a field: `http_port` → `BILLING_HTTP_PORT`."""
    return PREFIX + name.upper()


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        value = tuple(f"{name}:{one}" for name, one in value.items())
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
