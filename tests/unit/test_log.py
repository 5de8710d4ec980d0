"""The log: one form for everybody who speaks, and no secret in it."""

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator

import pytest
import structlog

from service import log

Said = Callable[[], str]


@pytest.fixture(params=["console", "json"])
def log_format(request: pytest.FixtureRequest) -> log.Format:
    chosen: log.Format = request.param
    return chosen


@pytest.fixture
def said(log_format: log.Format) -> Iterator[Said]:
    """All that was said so far, in each format."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
    log.configure(log_format, stream=stream)
    yield stream.getvalue
    root.handlers[:], root.level, sys.excepthook, threading.excepthook = before
    logging.captureWarnings(False)
    structlog.reset_defaults()


def test_our_words_and_those_of_libraries_come_in_one_form(said: Said) -> None:
    log.get("payments").info("charge settled", charge_id="ch_1")
    logging.getLogger("celery").warning("task %s is late", "t1")
    assert "charge settled" in said()
    assert "ch_1" in said()
    assert "task t1 is late" in said()


@pytest.mark.parametrize(
    "secret_text",
    [
        "postgresql+psycopg://billing:hunter2@127.0.0.1/billing",
        "redis://:hunter2@127.0.0.1:6379/0",
        "amqps://user:hunter2@broker/vhost",
        "endpoint secret whsec_hunter2",
    ],
)
def test_passwords_and_webhook_secrets_are_blotted_out(said: Said, secret_text: str) -> None:
    log.get("a").info("connecting", to=secret_text)
    logging.getLogger("b").error("can't reach %s", secret_text)
    try:
        raise RuntimeError(secret_text)
    except RuntimeError:
        logging.getLogger("c").exception("failed")
    assert "hunter2" not in said()
    assert "***" in said()


def test_tracebacks_show_no_local_variables(said: Said) -> None:
    def charge(card: str) -> None:
        raise RuntimeError("declined")

    try:
        charge("4242424242424242")
    except RuntimeError:
        log.get("a").exception("failed")
    assert "declined" in said()
    assert "in charge" in said() or '"name": "charge"' in said()
    assert "card = " not in said()


def test_errors_of_threads_are_told(said: Said) -> None:
    def fail() -> None:
        raise LookupError("lost in a thread")

    thread = threading.Thread(target=fail, name="sweeper")
    thread.start()
    thread.join()
    assert "lost in a thread" in said()
    assert "sweeper" in said()


def test_warnings_are_told(said: Said) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # pytest has put its own recorder in between
        warnings.warn("careful", stacklevel=1)
    assert "careful" in said()


def test_nothing_below_the_level_is_told(said: Said) -> None:
    log.get("a").debug("detail")
    logging.getLogger("b").debug("detail")
    assert said() == ""


def test_json_lines_are_whole_objects(said: Said, log_format: log.Format) -> None:
    log.get("a").info('two\nlines and a "quote"', amount=1999, currency="€UR")
    if log_format == "json":
        (line,) = said().splitlines()
        told = json.loads(line)
        assert told["message"] == 'two\nlines and a "quote"'
        assert (told["amount"], told["currency"], told["level"]) == (1999, "€UR", "info")


@pytest.mark.parametrize("verb", ["ack", "reject"])
def test_a_link_to_the_broker_that_broke_is_no_alarm(said: Said, verb: str) -> None:
    from kombu.message import Message

    class Broken:
        """A channel on which nothing can be said any more."""

        no_ack_consumers = None

        def basic_ack(self, *_: object, **__: object) -> None:
            raise ConnectionResetError("peer 10.0.0.1 with password hunter2")

        basic_reject = basic_ack

    message = Message(channel=Broken(), delivery_tag=7)
    log_error = message.ack_log_error if verb == "ack" else message.reject_log_error
    log_error(logging.getLogger("worker.consumer"), (ConnectionResetError,))
    assert "a message comes again (ConnectionResetError)" in said()
    assert "warning" in said()
    for alarming in ("critical", "Traceback", "hunter2"):
        assert alarming not in said()
    logging.getLogger("worker.consumer").critical("a queue exists with other properties")
    assert "critical" in said()
