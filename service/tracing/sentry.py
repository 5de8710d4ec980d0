"""Sends logged errors to Sentry: the line as it is in the log, and nothing else."""

import logging
from typing import Any

from service import faults, log
from service.settings_errors import SettingsError
from service.tracing.spans import NEEDED


def start(dsn: str) -> logging.Handler | None:
    """Send what is logged at level error from now on, if there is a DSN; returns the handler for
    the root logger. Raises SettingsError if Sentry's package is not installed, or the DSN is
    invalid."""
    if not dsn:
        return None
    try:
        import sentry_sdk
        from sentry_sdk.utils import BadDsn
    except ImportError:
        raise SettingsError(NEEDED.format("BILLING_SENTRY_DSN")) from None
    try:
        sentry_sdk.init(
            dsn,
            # Its integrations read requests, arguments of tasks and queries: use none of them.
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            send_client_reports=False,
        )
    except BadDsn:
        raise SettingsError("BILLING_SENTRY_DSN must be the DSN of a project of Sentry's") from None
    handler = ToSentry(logging.ERROR)
    logging.getLogger().addHandler(handler)
    return handler


class ToSentry(logging.Handler):
    """Makes an event of a record."""

    def emit(self, record: logging.LogRecord) -> None:
        import sentry_sdk

        if record.name.startswith("sentry_sdk"):
            return
        try:
            sentry_sdk.capture_event(event_of(record))  # type: ignore[arg-type]  # its own names
        except Exception:  # noqa: BLE001  # as every handler does
            self.handleError(record)


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """The event for a record: its text and fields without secrets, and for an exception its type
    and where it was raised, never its text or its variables."""
    fields = dict(record.msg) if isinstance(record.msg, dict) else {"event": record.getMessage()}
    for name in ("timestamp", "level", "logger", "stack_info"):
        fields.pop(name, None)
    words = log.scrub(str(fields.pop("event", "")))
    if (error := _error_of(fields.pop("exc_info", None) or record.exc_info)) is not None:
        fault = faults.describe(error)
        fields |= {"error": fault.kind, "where": fault.where, "frames": fault.frames}
        if record.name == "uncaught":
            words = fault.kind  # its text is the exception's own
    return {
        "message": words,
        "level": "fatal" if record.levelno >= logging.CRITICAL else "error",
        "logger": record.name,
        "extra": {name: log.scrubbed(value) for name, value in fields.items()},
        "fingerprint": [record.name, words, str(fields.get("error", ""))],
    }


def _error_of(exc_info: object) -> BaseException | None:
    """The exception that a record is about, in any of the forms in which it may be given."""
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    return exc_info if isinstance(exc_info, BaseException) else None
