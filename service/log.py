"""Logging: one stream of lines on stderr, for people or for machines."""

import logging
import re
import sys
import threading
from contextvars import ContextVar
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from infra.billing import brokers
from infra.billing.contract.ids import trace_of

# Webhook secrets, encryption keys and API keys, whichever library logs them. The first part of an
# API key is its id, which may be shown.
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")
_ENCRYPTION_KEY = re.compile(r"bek_[A-Za-z0-9_-]+")
_API_KEY = re.compile(r"(?P<id>key_[a-z2-7]{16})_[A-Za-z0-9]+")

# At "info" these log what only their own authors need; "debug" shows it.
CHATTY = ("alembic", "httpx", "aiohttp.access")

# At "debug" these log their payloads: a task with all its arguments (celery.pool, around the
# redacted ones of worker/task_request.py), foreign broadcasts (kombu.pidbox), database errors that
# quote a row (psycopg), answers of the broker (redis). That can't be turned on.
INDISCREET = ("celery.pool", "kombu.pidbox", "psycopg", "redis")

# kombu's text (kombu/message.py).
_UNACKNOWLEDGED = ("Couldn't ack ", "Couldn't reject ")

# The object of the attempt in progress: a row of a charge or a refund.
subject: ContextVar[Any] = ContextVar("subject", default=None)

Format = Literal["console", "json"]


def configure(log_format: Format, level: str = "info", stream: TextIO | None = None) -> None:
    """Send all log messages, from structlog or the standard library, through one format.

    `stream` is stderr unless given: stdout belongs to the answers of commands. Warnings and
    uncaught errors, of threads too, go the same way; only what would quote a request is silenced.
    Calling it again replaces the former configuration.
    """
    stream = stream or sys.stderr
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _about,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = logging.StreamHandler(stream)
    handler.addFilter(_no_alarm)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *before],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format, colors=stream.isatty()),
                _scrubbed,
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING if root.level > logging.DEBUG else 0)
    for name in INDISCREET:
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # tests and `billing up` configure more than once
    )
    logging.captureWarnings(True)
    _speak_of_uncaught_errors()


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger: `log.get(__name__).info("charge settled", charge_id=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def scrub(line: str) -> str:
    """The line without passwords of URLs, webhook secrets, encryption keys and API keys."""
    line = _WEBHOOK_SECRET.sub("whsec_***", brokers.scrub(line))
    line = _ENCRYPTION_KEY.sub("bek_***", line)
    return _API_KEY.sub(r"\g<id>_***", line)


def _about(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Add the charge or refund that is being processed, and the request that it came from."""
    if (row := subject.get()) is not None:
        line.setdefault("object_id", row.id)
        if row.request_id is not None:
            line.setdefault("request_id", row.request_id)
        if row.traceparent is not None:
            line.setdefault("trace_id", trace_of(row.traceparent))
    return line


def _no_alarm(record: logging.LogRecord) -> bool:
    """Lower the level of a message that a library wrongly calls critical.

    kombu does so, with a traceback, for each message that could not be acknowledged because the
    connection to the broker broke. It is delivered again, and finds its row.
    """
    if str(record.msg).startswith(_UNACKNOWLEDGED):
        reason = record.args[1] if isinstance(record.args, tuple) and len(record.args) > 1 else None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg = "link to the broker broke; a message comes again (%s)"
        record.args, record.exc_info, record.exc_text = (type(reason).__name__,), None, None
    return True


def scrubbed(value: Any) -> Any:
    """A JSON value with all its texts scrubbed."""
    match value:
        case str():
            return scrub(value)
        case dict():
            return {scrubbed(name): scrubbed(inner) for name, inner in value.items()}
        case list() | tuple():
            return [scrubbed(inner) for inner in value]
    return value


def _renderers(log_format: Format, *, colors: bool) -> list[Processor]:
    # Tracebacks never show local variables, as one may be a card number or a password.
    if log_format == "json":
        return [
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    return [
        structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _scrubbed(_logger: WrappedLogger, _method: str, line: EventDict | str) -> str:
    return scrub(str(line))


def _speak_of_uncaught_errors() -> None:
    logger = logging.getLogger("uncaught")

    def main(kind, error, trace) -> None:  # type: ignore[no-untyped-def]  # sys.excepthook's own
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            logger.critical("%s", error, exc_info=(kind, error, trace))

    def thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            name = args.thread.name if args.thread else "?"
            exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
            logger.critical("thread %s: %s", name, args.exc_value, exc_info=exc_info)

    sys.excepthook = main
    threading.excepthook = thread
