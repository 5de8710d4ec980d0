"""The object of an action: its row, if the caller may see it, and its name."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from infra.billing.contract.texts import is_storable
from payments.access import keys
from payments.access.scopes import Access
from payments.amounts import in_words
from payments.catalog import price_locks
from payments.intake import quarantine
from payments.kinds import CHARGE, REFUND
from payments.lifecycle import payment_queries
from payments.lifecycle.approving import waiting
from payments.payment_errors import NotFound
from payments.transaction import Transaction
from payments.webhooks import endpoints
from payments.webhooks.records import delivery_queries as deliveries

# The digits of the largest `bigint`.
NUMBER_DIGITS_MAX = 19


def of(connection: Connection, kind: str, id_: str, access: Access) -> tuple[Any, str]:
    """The row, and its name for people. Raises NotFound."""
    row = _READ[kind](connection, id_, access)
    return row, _CALLED[kind](row)


def number_of(id_: str) -> int:
    """The number of a message in quarantine. Raises NotFound if it isn't one."""
    is_number = id_.isascii() and id_.isdigit() and len(id_) <= NUMBER_DIGITS_MAX
    if not is_number or not 0 < int(id_) < 2**63:
        raise NotFound("there is no message in quarantine with this id", param="id")
    return int(id_)


def _key(connection: Connection, id_: str, _: Access) -> Any:
    rows = keys.read(connection, [id_]) if is_storable(id_) else {}
    if id_ not in rows:
        raise NotFound("there is no API key with this id", param="id")
    return rows[id_]


_READ: Mapping[str, Callable[[Connection, str, Access], Any]] = {
    "charges": lambda c, id_, access: payment_queries.get(c, CHARGE, id_, access=access),
    "refunds": lambda c, id_, access: payment_queries.get(c, REFUND, id_, access=access),
    "endpoints": lambda c, id_, access: endpoints.get(Transaction(c), id_, access=access),
    "deliveries": lambda c, id_, access: deliveries.get(c, id_, access=access),
    "quarantine": lambda c, id_, _: quarantine.get(c, number_of(id_)),
    "prices": lambda c, id_, _: price_locks.find(c, id_)[0],
    "keys": _key,
    "approvals": lambda c, id_, _: waiting.get(c, id_),
}
_CALLED: Mapping[str, Callable[[Any], str]] = {
    "charges": lambda row: f"charge of {in_words(row.amount, row.currency)}, {row.state}",
    "refunds": lambda row: f"refund of {in_words(row.amount, row.currency)}, {row.state}",
    "endpoints": lambda row: f"{row.url}, {row.state}",
    "deliveries": lambda row: f"{row.event_type} to {row.url}, {row.state}",
    "quarantine": lambda row: f"message of {row.size} bytes: {row.reason}",
    "prices": lambda row: f"price {row.lookup_key or row.nickname or row.id}",
    "approvals": lambda row: (
        f"{row.action} of {in_words(row.amount, row.currency)}, asked for by {row.requested_by}"
    ),
    "keys": lambda row: f"key of {row.producer} ({', '.join(row.scopes)})",
}
