"""Checks of webhook endpoints beyond types and bounds. All raise Invalid."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from infra.billing.contract.card_data import CARD_DATA, holds_card_data
from infra.billing.contract.event_types import TYPES
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.limits import (
    EVENT_IDS_MAX,
    HEADER_NAME_MAX,
    HEADER_VALUE_MAX,
    HEADERS_MAX,
    OVERLAP_MAX_S,
    RETRIES_MAX,
    RETRY_MAX_S,
    URL_MAX,
)
from infra.billing.contract.texts import is_storable

# Shown in place of a header's value.
MASKED = "****"
# Shown for an attempt at a queue, which has no status.
ACCEPTED = "accepted"
# RFC 9110, 5.6.2 (token) and 5.5 (field values, without what is not ASCII and folded lines).
HEADER_NAME = rf"[A-Za-z0-9!#$%&'*+.^_`|~-]{{1,{HEADER_NAME_MAX}}}"
HEADER_VALUE = rf"[!-~](?:[\t -~]{{0,{HEADER_VALUE_MAX - 2}}}[!-~])?"
# Headers that we set ourselves, that belong to the connection (RFC 9110, 7.6.1), that would make
# the answer unreadable for us, or that look like a signature.
RESERVED = (
    "accept-encoding", "connection", "content-*", "expect", "host", "keep-alive", "proxy-*",
    "signature", "signature-input", "te", "trailer", "traceparent", "transfer-encoding",
    "upgrade", "webhook-*",
)  # fmt: skip
# The form of a misspelt type, which may be quoted; anything else may be anything.
_TYPE = re.compile("[a-z_.]{1,40}")
_NAME, _VALUE = re.compile(HEADER_NAME), re.compile(HEADER_VALUE)


def is_accepted(status_code: int | None, error: str | None) -> bool:
    """Whether an attempt delivered its webhook. A queue has no status: it took the message, or
    there is an error."""
    return error is None if status_code is None else 200 <= status_code < 300


def url(value: object) -> str:
    """A text that may be a URL; the service checks whether it may be used."""
    if not isinstance(value, str) or not 1 <= len(value) <= URL_MAX:
        raise Invalid(
            f"url must be a string of at most {URL_MAX} characters, like"
            " https://example.com/webhooks",
            param="url",
        )
    if holds_card_data(value):
        raise Invalid(f"url {CARD_DATA}", param="url")
    if " " in value or not is_storable(value):
        raise Invalid("url must not contain spaces or control characters", param="url")
    return value


def event_types(value: object) -> list[str]:
    """Its types of events, each once."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Invalid(
            'event_types must be a list of types, like ["charge.succeeded"]',
            param="event_types",
        )
    for one in value:
        if one not in TYPES:
            named = repr(one) if isinstance(one, str) and _TYPE.fullmatch(one) else "one of them"
            raise Invalid(
                f"event_types: {named} is not an event type; send some of"
                f" {', '.join(TYPES)}, or none for all but the .pending ones",
                param="event_types",
            )
    return list(dict.fromkeys(value))


def headers(value: object) -> dict[str, str]:
    """Custom headers. No error text quotes a value, which is a credential, or a name, which may be
    one by mistake."""
    found = header_changes(value)
    if None in found.values():
        raise _header("the values must be text")
    return {name: text for name, text in found.items() if text is not None}


def header_changes(value: object) -> dict[str, str | None]:
    """The same; null removes a header."""
    if not isinstance(value, Mapping):
        raise Invalid(
            'headers must be an object of names and values, like {"x-api-key": "…"}',
            param="headers",
        )
    at_most(len(value))
    for name, text in value.items():
        _check_name(name)
        if text is not None:
            _check_value(text)
    if len({name.lower() for name in value}) < len(value):
        raise _header("a name is there twice, in capitals and without; send one of them")
    return dict(value)


def at_most(number: int) -> None:
    """The number of headers."""
    if number > HEADERS_MAX:
        raise _header(f"these would be {number}, and {HEADERS_MAX} is the most")


def retry_schedule(value: object) -> list[int]:
    """The seconds from one attempt to the next."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _schedule()
    seconds = [*value]
    if not 1 <= len(seconds) <= RETRIES_MAX or not all(map(_is_pause, seconds)):
        raise _schedule()
    return seconds


def overlap_s(value: object) -> int:
    """For how long the previous secret signs, too, in whole seconds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid("overlap_s must be a whole number of seconds", param="overlap_s")
    if not 0 <= value <= OVERLAP_MAX_S:
        raise Invalid(f"overlap_s must be from 0 to {OVERLAP_MAX_S} seconds", param="overlap_s")
    return value


def event_ids(value: object) -> list[str]:
    """The events to send again."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Invalid('event_ids must be a list of ids, like ["evt_…"]', param="event_ids")
    if not 1 <= len(value) <= EVENT_IDS_MAX or not all(isinstance(one, str) for one in value):
        raise Invalid(f"event_ids must be 1 to {EVENT_IDS_MAX} ids", param="event_ids")
    return [*value]


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _header(
            f"a name must be 1 to {HEADER_NAME_MAX} letters, digits, dashes and the like, without"
            " a colon or a space (RFC 9110)"
        )
    if holds_card_data(name):
        raise Invalid(f"headers {CARD_DATA}", param="headers")
    for reserved in RESERVED:
        start = reserved.removesuffix("*")
        if name.lower() == reserved or (start != reserved and name.lower().startswith(start)):
            raise _header(f"{reserved} is ours to say; leave it out")


def _check_value(text: Any) -> None:
    if not isinstance(text, str):
        raise _header("the values must be text")
    if not _VALUE.fullmatch(text):
        raise _header(
            f"a value must be 1 to {HEADER_VALUE_MAX} ASCII characters, without control characters"
            " and without spaces at its ends"
        )
    if text == MASKED:
        raise _header(
            f"{MASKED} stands for a value that is not shown; send the value, or leave the name out"
        )


def _is_pause(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= RETRY_MAX_S


def _header(said: str) -> Invalid:
    return Invalid(f"headers: {said}", param="headers")


def _schedule() -> Invalid:
    return Invalid(
        f"retry_schedule must be a list of 1 to {RETRIES_MAX} whole numbers of seconds, each from"
        f" 1 to {RETRY_MAX_S}, like [60, 3600]",
        param="retry_schedule",
    )
