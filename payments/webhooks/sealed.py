"""The secrets of an endpoint as the database stores them: sealed (`payments.access.vault`).

These are its signing secrets, the values of its own headers, and the user and password of its URL.
What was stored before there was a vault, or under an older key, is sealed anew by the sweep, page
by page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, text, update

from models import WebhookEndpoint
from models.base import table_of
from payments.access.vault import KEY_ID_CHARS, SEALED, CantOpen, Vault
from payments.transaction import Transaction

# Endpoints per transaction of the sweep: some milliseconds, during which their drainers wait.
PAGE = 100
# How many endpoints the doctor tries to open: a fifth of a second.
LOOKED_AT = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """How many endpoints were sealed anew, and which could not be opened. `last` is the id to
    continue after; None at the end."""

    resealed: int
    unreadable: Sequence[str]
    last: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """How many endpoints have secrets under this key; `key_id` None: not sealed."""

    key_id: str | None
    endpoints: int


def seal_secret(vault: Vault, endpoint_id: str, secret: str) -> str:
    """A signing secret, sealed."""
    return vault.seal(secret, about=_about_secret(endpoint_id))


def open_secret(vault: Vault, endpoint_id: str, kept: str) -> str:
    """The signing secret. Raises CantOpen."""
    return vault.open(kept, about=_about_secret(endpoint_id))


def seal_headers(vault: Vault, endpoint_id: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Headers, sealed: their names can be read without a key, their values can't."""
    return {
        name: vault.seal(value, about=_about_header(endpoint_id, name))
        for name, value in headers.items()
    }


def open_headers(vault: Vault, endpoint_id: str, kept: Mapping[str, str]) -> dict[str, str]:
    """The headers. Raises CantOpen."""
    return {
        name: vault.open(value, about=_about_header(endpoint_id, name))
        for name, value in kept.items()
    }


def seal_credentials(vault: Vault, endpoint_id: str, credentials: str | None) -> str | None:
    """The `user:password` of an endpoint's URL, sealed, if it has them."""
    return credentials and vault.seal(credentials, about=_about_url(endpoint_id))


def open_credentials(vault: Vault, endpoint_id: str, kept: str | None) -> str | None:
    """The credentials. Raises CantOpen."""
    return kept and vault.open(kept, about=_about_url(endpoint_id))


def reseal(transaction: Transaction, vault: Vault, *, after: str = "", limit: int = PAGE) -> Page:
    """Seal with the present key what is stored otherwise, of up to `limit` endpoints in the order
    of their ids, after the id `after`.

    Locked rows are left for the next sweep. What can't be opened stays as it is: the key may come
    back.
    """
    stale = {"after": after, "current": f"{SEALED}{vault.key_ids[0]}:%", "limit": limit}
    rows = transaction.execute(_STALE, stale).all()
    unreadable = []
    for row in rows:
        try:
            changes = _resealed(vault, row)
        except CantOpen as error:
            unreadable.append(str(error))
            continue
        transaction.execute(_CHANGE.values(**changes), {"endpoint_id": row.id})
    last = rows[-1].id if len(rows) == limit else None
    return Page(len(rows) - len(unreadable), unreadable, last)


def kept(connection: Connection) -> list[Kept]:
    """Which keys the secrets of endpoints need, and how many endpoints need each."""
    return [Kept(key_id, endpoints) for key_id, endpoints in connection.execute(_KEPT)]


def unreadable(connection: Connection, vault: Vault) -> list[str]:
    """Why secrets can't be opened, one line for each such endpoint among LOOKED_AT."""
    found = []
    for row in connection.execute(_ALL, {"limit": LOOKED_AT}):
        try:
            _resealed(vault, row)
        except CantOpen as error:
            found.append(str(error))
    return found


def _resealed(vault: Vault, row: Any) -> dict[str, Any]:
    """The secrets of the row, under the present key."""
    secret, credentials = _about_secret(row.id), row.url_credentials
    headers = zip(row.header_names, row.header_values, strict=True)
    return {
        "secrets": [vault.resealed(kept, about=secret) for kept in row.secrets],
        "header_values": [
            vault.resealed(kept, about=_about_header(row.id, name)) for name, kept in headers
        ],
        "url_credentials": credentials and vault.resealed(credentials, about=_about_url(row.id)),
    }


def _about_secret(endpoint_id: str) -> str:
    return f"the secret of {endpoint_id}"


def _about_url(endpoint_id: str) -> str:
    return f"the user and password in the url of {endpoint_id}"


def _about_header(endpoint_id: str, name: str) -> str:
    return f"the header {name.lower()} of {endpoint_id}"


# --- The statements ---

_endpoints = table_of(WebhookEndpoint)
_SECRETS = "array_remove(secrets || header_values || url_credentials, NULL)"
# A new key, or secrets from before there was a vault, are rare, and there are some thousand
# endpoints at most: the sweep reads them all, once a minute.
_STALE = text(f"""
    SELECT id, secrets, header_names, header_values, url_credentials FROM webhook_endpoints
    WHERE id > :after AND state <> 'deleted'
      AND EXISTS (SELECT FROM unnest({_SECRETS}) kept WHERE kept NOT LIKE :current)
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")  # noqa: S608  # our own names
_CHANGE = update(_endpoints).where(_endpoints.c.id == bindparam("endpoint_id"))
_KEPT = text(f"""
    SELECT CASE WHEN starts_with(kept, '{SEALED}')
                THEN substr(kept, {len(SEALED) + 1}, {KEY_ID_CHARS}) END AS key_id,
           count(DISTINCT id) AS endpoints
    FROM webhook_endpoints, unnest({_SECRETS}) kept
    WHERE state <> 'deleted' GROUP BY 1 ORDER BY 1 NULLS FIRST
""")  # noqa: S608  # our own names
_ALL = text("""
    SELECT id, secrets, header_names, header_values, url_credentials FROM webhook_endpoints
    WHERE state <> 'deleted' LIMIT :limit
""")
