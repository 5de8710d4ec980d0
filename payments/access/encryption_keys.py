"""Keys that encrypt the secrets in the database: their form, and how to make one."""

import base64
import re
import secrets

# A prefix, so that logs can recognise a key, and 32 bytes in base64url without padding.
PREFIX = "bek_"
KEY = re.compile(r"bek_[A-Za-z0-9_-]{43}")
BYTES = 32


def new_key() -> str:
    """A fresh encryption key: 256 random bits."""
    return PREFIX + as_text(secrets.token_bytes(BYTES))


def bytes_of(key: str) -> bytes:
    """The bytes of a key in its text form. Raises ValueError, which doesn't quote it."""
    if not KEY.fullmatch(key):
        raise ValueError(f"an encryption key is {PREFIX} and 43 characters")
    return as_bytes(key.removeprefix(PREFIX))


def as_text(raw: bytes) -> str:
    """Bytes in base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def as_bytes(text: str) -> bytes:
    """The bytes of such a text. Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
