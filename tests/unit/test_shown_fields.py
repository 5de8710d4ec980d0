"""Nothing is forgotten between what is kept, what is declared, and what is shown."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, get_args

import pytest
from sqlalchemy import DateTime, Table

from api.edge import problems
from infra.billing.contract.objects import (
    Charge,
    Currency,
    Deleted,
    Endpoint,
    Line,
    NextAction,
    Price,
    Problem,
    Product,
    Quote,
    Refund,
    Resource,
    TimelineEntry,
)
from infra.billing.contract.objects.object_fields import fields_of, is_moment, said_of
from infra.billing.pending import pending
from models import WebhookEndpoint
from models.base import table_of
from payments.catalog import currencies, quotes
from payments.catalog.catalog_views import deleted_view, price_view, product_view, quote_view
from payments.catalog.price_locks import PRICES, PRODUCTS
from payments.catalog.quotes import Terms
from payments.kinds import CHARGE, REFUND
from payments.payment_errors import InvalidRequest
from payments.processors import outcomes
from payments.timeline_entries import Entry
from payments.views import view_of
from payments.webhooks import endpoints
from tests.support.every import every


class Reading(dict[str, Any]):
    """A row that notes which columns are read."""

    VALUES: ClassVar[Mapping[str, Any]] = {
        "currency": "USD",
        "tiers": None,
        "id": "1",
        "header_names": ["x-api-key"],
        "recent_ms": (),
    }

    def __init__(self) -> None:
        self.columns: set[str] = set()

    @property
    def _mapping(self) -> "Reading":
        return self

    def __getitem__(self, column: str) -> Any:
        self.columns.add(column)
        return self.VALUES.get(
            column, None if column.endswith(("_at", "_before", "_since", "_until")) else 1
        )

    __getattr__ = __getitem__


# Columns that nobody outside sees, and why.
_OURS = {
    "fingerprint": "tells repeats from other requests; of no use to anybody else",
    "request_id": "of the request that made it; the timeline tells it",
    "traceparent": "of the caller's trace, who has it",
    "sequence": "every event tells its own",
    "attempts": "the timeline tells each",
    "retries": "how long the next pause is",
    "next_attempt_at": "when we look at it next; the timeline says it",
    "woken_at": "when a worker was called",
    "lease_token": "who may settle it",
    "lease_expires_at": "until when",
    "leased_at": "since when",
    "worker": "who that is; the timeline tells it",
    "first_called_at": "from when on the processor remembers its key",
    "processor_code": "the processor's word; ours is `failure_code`",
}
PRIVATE = {
    "charge": _OURS
    | {
        "capture_warned_at": "when the world was told that `capture_before` is soon",
        "expires_by_default": "whether `expires_at` was asked for",
        "cancel_requested_by": "who; the timeline tells it",
        "cancel_reason": "why; the timeline tells it",
        "cancel_code": "what `failure_code` will be",
        "receipt_email": "a person's address: for the processor, and nobody else",
    },
    "refund": _OURS
    | {
        "processor": "that of its charge",
        "charge_producer": "whose charge it is, if not the producer's",
        "any_charge": "whether it may be another's",
        "reserved": "whether its amount is counted in the charge",
        "restocked": "how many units came back; the timeline tells it",
        "if_pending": "a condition of accepting it",
        "expected_refunded_amount": "a condition of accepting it",
        "asked_by": "who; its approval tells it",
    },
}
_OF_THE_CATALOG = {
    "producer": "who made it: the catalog is everybody's",
    "idempotency_key": "under which it was made",
    "fingerprint": "tells repeats from other requests; of no use to anybody else",
}
KINDS = [(CHARGE, Charge), (REFUND, Refund)]
VIEWS: list[tuple[Any, type[Resource], Callable[[Any], dict[str, Any]], Mapping[str, str]]] = [
    *((kind.table, shown, kind.view, PRIVATE[kind.name]) for kind, shown in KINDS),
    (
        table_of(WebhookEndpoint),
        Endpoint,
        endpoints.view,
        {
            "secrets": "shown when they are made, and never again",
            "older_secrets_until": "until when the one before signs",
            "url_credentials": "they are sent, and never shown",
            "header_values": "credentials: they are sent, and never shown",
            "next_post_at": "when the rate lets the next be sent",
            "back_offs": "how long it is left alone the next time",
            "counted_since": "since when its attempts are counted",
            "counted": "how many they are",
            "counted_failed": "how many of them failed",
            "has_given_up": "whether a webhook has used up its attempts since",
            "warned_at": "when the others were told of it",
            "last_sequence": "every webhook tells its own",
            "drain_is_full": "whether its drainer has all it can hold",
            "drain_is_listening": "whether its drainer is told what becomes due without a message",
            "drain_token": "who posts to it",
            "drain_expires_at": "until when",
            "woken_at": "when a drainer was called",
            "subscribed_at": "from when on it gets every event",
            "deleted_at": "a deleted one is shown to nobody",
        },
    ),
    (PRODUCTS, Product, product_view, _OF_THE_CATALOG),
    (
        PRICES,
        Price,
        lambda row: price_view(row, Reading()),
        _OF_THE_CATALOG
        | {
            "sequence": "every event tells its own",
            "initial_quantity": "what stock is counted from; `billing verify` does",
        },
    ),
]
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
# What is made of something else than a row.
MADE: list[tuple[type[Resource], dict[str, Any]]] = [
    (Currency, currencies.view("USD")),
    (Quote, quote_view(Terms(1999, "USD", "price_1", 2, []))),
    (Line, quotes.Line("unit", 2, 1000, "two").view()),
    (NextAction, outcomes.NextAction("redirect_to_url", expires_at=NOW).view()),
    (TimelineEntry, Entry(NOW, "attempt", "ch_1", "it was tried").view()),
    (Problem, problems.document(InvalidRequest(), request_id="req_1")),
]


@every("table, shown, view, private", VIEWS)
def test_every_column_is_shown_or_private(
    table: Table,
    shown: type[Resource],
    view: Callable[[Any], dict[str, Any]],
    private: Mapping[str, str],
) -> None:
    row, columns = Reading(), {column.name for column in table.c}
    assert list(view(row)) == list(fields_of(shown))
    unsaid = columns - row.columns - set(private)
    assert not unsaid, f"declare them in {shown.__name__}, or say here why nobody sees them"
    assert not row.columns & set(private)
    assert set(private) <= columns


@every("shown, made", MADE)
def test_what_is_made_has_the_declared_fields(shown: type[Resource], made: dict[str, Any]) -> None:
    assert list(made) == list(fields_of(shown))


def test_what_was_deleted_has_the_declared_fields() -> None:
    assert deleted_view(Reading(), "price") == {"id": "1", "object": "price", "deleted": True}  # type: ignore[arg-type]
    assert list(fields_of(Deleted)) == ["id", "object", "deleted"]


@every("kind, shown", KINDS)
def test_the_sdk_makes_the_whole_object_of_a_request(kind: Any, shown: type[Resource]) -> None:
    asked = {"producer": "shop", "idempotency_key": "order-1", "charge_id": "ch_1", "nothing": 1}
    made = pending(kind.name, "id_1", asked)
    assert list(made) == list(fields_of(shown))
    assert (made["state"], made["phase"], made["metadata"]) == ("pending", "queued", {})
    without = {name for name, value in made.items() if value is None}
    assert all(type(None) in _choices(fields_of(shown)[name]) for name in without)


def test_what_the_sdk_makes_of_a_request_is_a_copy() -> None:
    metadata = {"cart": "42"}
    made = pending("charge", "ch_1", {"metadata": metadata})
    metadata["cart"] = "43"
    assert made["metadata"] == {"cart": "42"}
    one, other = (pending("refund", id_, {})["metadata"] for id_ in ("re_1", "re_2"))
    assert one is not other


@every("kind, shown", KINDS)
def test_what_the_service_always_has_may_be_null_before(kind: Any, shown: type[Resource]) -> None:
    for name, annotation in fields_of(shown).items():
        if any(said.always for said in said_of(annotation)):
            assert type(None) in _choices(annotation), name


@every("kind, shown", KINDS)
def test_times_are_told_as_times(kind: Any, shown: type[Resource]) -> None:
    times = {name for name, annotation in fields_of(shown).items() if is_moment(annotation)}
    columns = {one.name for one in kind.table.c if isinstance(one.type, DateTime)}
    assert times == columns & fields_of(shown).keys()


def test_a_field_that_no_column_has_is_noticed_at_once() -> None:
    class Odd(Resource):
        colour: str

    with pytest.raises(KeyError, match="colour"):
        view_of(Odd)(type("Row", (), {"_mapping": {}})())


def _choices(annotation: Any) -> tuple[Any, ...]:
    """What a field may be, without what is said of it."""
    inside = annotation
    while said_of(inside):
        inside = get_args(inside)[0]
    return get_args(inside) or (inside,)
