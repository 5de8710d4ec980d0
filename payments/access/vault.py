"""The vault: encrypts secrets before they are stored, so that a copy of the database is of no use.

A sealed text is `sealed:1:`, the id of its key, `:`, and in base64 a nonce with the output of
AES-256-GCM for the secret (NIST SP 800-38D). Its column and row (`about`) are authenticated with
it: it can't be opened in another row.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from payments.access.encryption_keys import as_bytes, as_text, bytes_of

SEALED = "sealed:1:"
# 96 random bits: NIST's bound of 2^32 texts under one key is far above all secrets here.
NONCE_BYTES = 12
KEY_ID_CHARS = 8


class CantOpen(Exception):
    """A secret in the database can't be opened: its key is missing, or it was tampered with. The
    text names its place and the key it needs, no secret."""


class Vault:
    """Seals with the first of its keys (`bek_…`), and opens with any of them. Raises ValueError for
    a text that is not a key, or if there are no keys."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = {_id_of(raw): AESGCM(raw) for raw in map(bytes_of, keys)}
        if not self._keys:
            raise ValueError("a vault needs a key")

    @property
    def key_ids(self) -> Sequence[str]:
        """The ids of its keys in sealed texts, the one that seals first. Not secret."""
        return tuple(self._keys)

    def seal(self, secret: str, *, about: str) -> str:
        """The secret, sealed for the place that `about` names."""
        key_id, key = next(iter(self._keys.items()))
        nonce = secrets.token_bytes(NONCE_BYTES)
        hidden = key.encrypt(nonce, secret.encode(), about.encode())
        return f"{SEALED}{key_id}:{as_text(nonce + hidden)}"

    def open(self, kept: str, *, about: str) -> str:
        """The secret that is stored there; one from before there was a vault is stored in clear.

        Raises CantOpen.
        """
        key_id = key_id_of(kept)
        if key_id is None:
            return kept
        key = self._keys.get(key_id)
        if key is None:
            raise CantOpen(
                f"{about}: sealed with the encryption key {key_id}, which is not among"
                f" BILLING_ENCRYPTION_KEYS ({', '.join(self._keys)})"
            )
        try:
            sealed = as_bytes(kept.removeprefix(f"{SEALED}{key_id}:"))
            opened = key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about.encode())
        except (InvalidTag, ValueError):
            raise CantOpen(
                f"{about}: not what was sealed there with the encryption key {key_id}"
            ) from None
        return opened.decode()

    def resealed(self, kept: str, *, about: str) -> str:
        """The same secret under the present key. Raises CantOpen."""
        if key_id_of(kept) == self.key_ids[0]:
            return kept
        return self.seal(self.open(kept, about=about), about=about)


def key_id_of(kept: str) -> str | None:
    """The id of the key that a text is sealed with; None if it is not sealed."""
    return kept.removeprefix(SEALED)[:KEY_ID_CHARS] if kept.startswith(SEALED) else None


def _id_of(key: bytes) -> str:
    # A hash of 256 random bits gives nothing away.
    return hashlib.sha256(b"billing encryption key\n" + key).hexdigest()[:KEY_ID_CHARS]
