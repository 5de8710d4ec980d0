"""Text that can be kept: what the database stores, and what any reader of it can show."""

# As JSON Schema says it. (Surrogates are no characters in any JSON that can be sent.)
PATTERN = r"^[^\u0000-\u001F\u007F]*$"


def is_storable(text: str) -> bool:
    """Whether it holds no control characters, and no halves of characters.

    PostgreSQL keeps no NUL, a lone surrogate is no character in any encoding, and terminals obey
    control characters.
    """
    return is_unicode(text) and not any(c < " " or c == "\x7f" for c in text)


def is_unicode(text: str) -> bool:
    """Whether it is text in all encodings: a lone surrogate, half of a character, is in none."""
    return not any("\ud800" <= c <= "\udfff" for c in text)
