"""The settings of telemetry: metrics, traces, the access log, errors."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class TelemetrySettings(BaseSettings):
    """A part of `service.settings.Settings`, which says how it is read."""

    # The port on which a process answers GET /metrics, one for each process of a machine. Off,
    # since processes that share a machine, and these settings, can't share a port. `billing up`
    # takes free ones; `web` answers on BILLING_HTTP_PORT as well.
    metrics_port: int = Field(
        default=0, ge=0, le=65_535, description="a whole number from 1 to 65535, or 0 for none"
    )
    # The address that it listens on. This machine only: the metrics of payments are private.
    metrics_host: str = Field(
        default="127.0.0.1", min_length=1, description="an address or host name to listen on"
    )
    # Where spans of attempts, and of posts of webhooks, are sent, by OTLP over HTTP (its path
    # /v1/traces is added). Unset, there are none. It needs the packages of
    # requirements-telemetry.lock; OpenTelemetry's own variables set everything else
    # (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER).
    traces_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s@]+)?$",
        description="the http(s):// URL of an OpenTelemetry collector, such as"
        " http://127.0.0.1:4318",
    )
    # Where logged errors are also sent: to Sentry, or a compatible service. Unset, nowhere. It gets
    # our log lines of level error, and no body, header, argument or local variable. It needs the
    # packages of requirements-telemetry.lock.
    sentry_dsn: SecretStr = Field(
        default=SecretStr(""), description="the DSN of a project of Sentry's"
    )
