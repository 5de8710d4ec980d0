"""Ids that come from keys: the wire contract by which the id is known before anyone answers.

The service computes the same; `tests/contract/vectors/ids.json` holds both to it.
"""

import hashlib
from base64 import b32encode
from collections.abc import Mapping
from typing import Literal

Kind = Literal["charge", "refund"]
PREFIXES: Mapping[Kind, str] = {"charge": "ch_", "refund": "re_"}
ID_BYTES = 20  # 160 bits: 32 characters of base32 with no padding.


def id_from_key(kind: Kind, *, producer: str, key: str) -> str:
    """The id of the charge or refund that `producer` asks for under `key`."""
    digest = hashlib.sha256(f"{producer}\n{kind}\n{key}".encode()).digest()
    return PREFIXES[kind] + b32encode(digest[:ID_BYTES]).decode().lower()
