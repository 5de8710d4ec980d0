"""Text that can be kept: the database can store it, and every reader can show it."""

import re
from typing import TypeGuard

# As a JSON Schema pattern. (Surrogates can't occur in any JSON that can be sent.)
PATTERN = r"^[^\u0000-\u001F\u007F]*$"
_NOT_STORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# A producer as a JSON Schema pattern, and a refusal's text about an invalid name.
PRODUCER = "[A-Za-z0-9._-]{1,64}"
PRODUCER_MUST = "must be 1 to 64 letters, digits, dots, dashes or underscores"
PRODUCER_NAME = re.compile(PRODUCER)
_FIELD = re.compile(r"[a-z_]{1,40}")


def is_storable(text: str) -> bool:
    """Whether it contains no control characters, and no surrogates.

    PostgreSQL can't store NUL, a lone surrogate is not a character in any encoding, and terminals
    obey control characters.
    """
    return _NOT_STORABLE.search(text) is None


def is_unicode(text: str) -> bool:
    """Whether it can be encoded: a lone surrogate, half of a character, can't."""
    return _SURROGATE.search(text) is None


def is_producer(value: object) -> TypeGuard[str]:
    """Whether it can be the name of a producer: that is part of every id, so it never changes."""
    return isinstance(value, str) and PRODUCER_NAME.fullmatch(value) is not None


def field_name(name: object) -> str | None:
    """The name of a field if it has the form of one; else None, as it may be anything, and is not
    repeated."""
    return name if isinstance(name, str) and _FIELD.fullmatch(name) else None
