"""What can be found, and how it is listed: one row for each object, of whatever kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, String, Table, cast, literal, null, select

from models import (
    ApiKey,
    AuditEntry,
    Charge,
    Delivery,
    Dispute,
    Event,
    Price,
    Product,
    Refund,
    RejectedRequest,
    WebhookEndpoint,
)
from models.base import table_of
from payments.access.scopes import (
    CHARGES_READ,
    EVERYBODY,
    OPERATE,
    PRICES_READ,
    WEBHOOKS_READ,
    Access,
    owner_in,
)

# Columns of every find, in this order.
COLUMNS = ("type", "id", "created_at", "producer", "name", "state", "amount", "currency")


@dataclass(frozen=True, slots=True, eq=False)
class Searchable:
    """A kind of object that can be found. `owner`: its producer; None = everyone's. `needs` is the
    permission that a key needs to see any of them."""

    type: str
    table: Table
    needs: str
    owner: ColumnElement[Any] | None
    name: ColumnElement[Any] | None = None
    state: ColumnElement[Any] | None = None
    has_amount: bool = False

    def finds(self, *where: ColumnElement[bool], access: Access) -> Select[Any]:
        """A statement for those that match and that `access` sees, as COLUMNS."""
        statement = _all_of(self).where(*where)
        if self.owner is None or access.sees_all:
            return statement
        whose = access.sees_where(self.owner)
        return statement.where(whose | (self.owner == EVERYBODY) if self.type == "event" else whose)

    def is_seen_by(self, access: Access) -> bool:
        """Whether `access` may see any of them."""
        return access.allows(self.needs)


@cache
def _all_of(kind: Searchable) -> Select[Any]:
    # Cached: a search makes twenty-five statements, and a quarter of its time went into their
    # columns.
    t = kind.table
    amount, currency = (t.c.amount, t.c.currency) if kind.has_amount else (null(), null())
    return select(
        literal(kind.type).label("type"),
        cast(t.c.id, String).label("id"),
        t.c.created_at.label("created_at"),
        _text(kind.owner).label("producer"),
        _text(kind.name).label("name"),
        _text(kind.state).label("state"),
        cast(amount, BigInteger).label("amount"),
        _text(currency).label("currency"),
    )


def _text(value: ColumnElement[Any] | None) -> ColumnElement[Any]:
    return cast(null() if value is None else value, String)


_charges, _refunds, _disputes = table_of(Charge), table_of(Refund), table_of(Dispute)
_events, _deliveries, _endpoints = table_of(Event), table_of(Delivery), table_of(WebhookEndpoint)
_products, _prices, _keys = table_of(Product), table_of(Price), table_of(ApiKey)
_rejected, _audit = table_of(RejectedRequest), table_of(AuditEntry)

CHARGE = Searchable(
    "charge", _charges, CHARGES_READ, _charges.c.producer, _charges.c.reference,
    _charges.c.state, has_amount=True,
)  # fmt: skip
REFUND = Searchable(
    "refund", _refunds, CHARGES_READ, owner_in(_refunds), None, _refunds.c.state, has_amount=True
)
DISPUTE = Searchable(
    "dispute", _disputes, CHARGES_READ, _disputes.c.producer, None, _disputes.c.state,
    has_amount=True,
)  # fmt: skip
EVENT = Searchable("event", _events, CHARGES_READ, _events.c.producer, _events.c.type)
# A delivery belongs to its endpoint's producer.
DELIVERY = Searchable(
    "delivery",
    _deliveries,
    WEBHOOKS_READ,
    select(_endpoints.c.producer)
    .where(_endpoints.c.id == _deliveries.c.endpoint_id)
    .scalar_subquery(),
    _deliveries.c.endpoint_id,
    _deliveries.c.state,
)
ENDPOINT = Searchable(
    "webhook_endpoint", _endpoints, WEBHOOKS_READ, _endpoints.c.producer, _endpoints.c.url,
    _endpoints.c.state,
)  # fmt: skip
PRODUCT = Searchable("product", _products, PRICES_READ, None, _products.c.name)
PRICE = Searchable("price", _prices, PRICES_READ, None, _prices.c.nickname)
KEY = Searchable("api_key", _keys, OPERATE, _keys.c.producer)
REJECTED = Searchable(
    "rejected_request", _rejected, CHARGES_READ, _rejected.c.producer, _rejected.c.code
)
AUDIT = Searchable("audit_entry", _audit, OPERATE, _audit.c.producer, _audit.c.action)
BY_PREFIX: Mapping[str, Searchable] = {
    "ch_": CHARGE,
    "re_": REFUND,
    "dp_": DISPUTE,
    "evt_": EVENT,
    "del_": DELIVERY,
    "we_": ENDPOINT,
    "prod_": PRODUCT,
    "price_": PRICE,
    "rej_": REJECTED,
    "aud_": AUDIT,
}
