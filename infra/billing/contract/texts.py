"""Text that can be kept: what the database stores, and what any reader of it can show."""

import re
from typing import TypeGuard

# As JSON Schema says it. (Surrogates are no characters in any JSON that can be sent.)
PATTERN = r"^[^\u0000-\u001F\u007F]*$"
_NOT_STORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# Who asks, as JSON Schema says it, and what a refusal says of another name.
PRODUCER = "[A-Za-z0-9._-]{1,64}"
PRODUCER_MUST = "must be 1 to 64 letters, digits, dots, dashes or underscores"
PRODUCER_NAME = re.compile(PRODUCER)
_FIELD = re.compile(r"[a-z_]{1,40}")


def is_storable(text: str) -> bool:
    """Whether it holds no control characters, and no halves of characters.

    PostgreSQL keeps no NUL, a lone surrogate is no character in any encoding, and terminals obey
    control characters.
    """
    return _NOT_STORABLE.search(text) is None


def is_unicode(text: str) -> bool:
    """Whether it is text in all encodings: a lone surrogate, half of a character, is in none."""
    return _SURROGATE.search(text) is None


def is_producer(value: object) -> TypeGuard[str]:
    """Whether it can be the name of a producer: it is part of every id, so it never changes."""
    return isinstance(value, str) and PRODUCER_NAME.fullmatch(value) is not None


def field_name(name: object) -> str | None:
    """The name of a field if it reads as one; None if it may be anything, so is not repeated."""
    return name if isinstance(name, str) and _FIELD.fullmatch(name) else None
