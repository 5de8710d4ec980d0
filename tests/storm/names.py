"""How a producer computes an id before any answer: written anew from docs/reference/wire.md."""

import base64
import hashlib


def id_of(kind: str, *, producer: str, key: str) -> str:
    """The id of the charge or refund (`kind`) that this producer asks for under this key."""
    digest = hashlib.sha256(f"{producer}\n{kind}\n{key}".encode()).digest()
    prefix = {"charge": "ch_", "refund": "re_"}[kind]
    return prefix + base64.b32encode(digest[:20]).decode().lower()
