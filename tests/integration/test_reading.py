"""Lists page by page, newest first, each row once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from local.embedded.throwaway import Servers
from payments.kinds import CHARGE, REFUND
from payments.lifecycle import payment_queries
from payments.payment_errors import InvalidRequest, NotFound
from service.wiring import open_database
from tests.support import databases
from tests.support.counter import Counter, counter
from tests.support.every import every


@pytest.fixture(scope="module")
def shop(servers: Servers) -> Iterator[Counter]:
    """Twenty-five charges, some refunds. The first five charges have one moment of creation."""
    with databases.fresh(servers.postgres) as url:
        engine = open_database(url)
        with counter(engine) as till:
            for n in range(25):
                charge = till.charge(
                    idempotency_key=f"{n:02}",
                    customer_id="cus_ada" if n % 5 == 0 else "cus_bob",
                    reference=f"order-{n}",
                    payment_method_id="pm_card_chargeDeclined" if n % 6 == 5 else "pm_card_visa",
                )
                if n < 2:
                    till.refund(charge["id"], amount=100)
            till.query(
                "UPDATE charges SET created_at = (SELECT min(created_at) FROM charges)"
                " WHERE idempotency_key < '05'"
            )
            yield till
        engine.dispose()


@pytest.fixture
def connection(shop: Counter) -> Iterator[Connection]:
    with shop.engine.connect() as connection:
        yield connection


def test_one_is_found_by_its_id(shop: Counter, connection: Connection) -> None:
    (row,) = shop.query("SELECT id FROM charges WHERE idempotency_key = '07'")
    assert payment_queries.get(connection, CHARGE, row["id"]).idempotency_key == "07"
    with pytest.raises(NotFound, match="no charge with this id"):
        payment_queries.get(connection, CHARGE, "ch_nowhere")


@every("limit", [1, 3, 7, 25, 100])
def test_pages_show_every_row_once_and_newest_first(connection: Connection, limit: int) -> None:
    keys, cursor, pages = [], None, 0
    while True:
        page = payment_queries.page(connection, CHARGE, limit=limit, cursor=cursor)
        keys += [row.idempotency_key for row in page.rows]
        cursor, pages = page.next_cursor, pages + 1
        if cursor is None:
            break
    assert len(keys) == len(set(keys)) == 25
    assert keys[:20] == [f"{n:02}" for n in range(24, 4, -1)]
    assert pages == -(-25 // limit)


def test_rows_that_arrive_meanwhile_repeat_nothing(shop: Counter, connection: Connection) -> None:
    first = payment_queries.page(connection, REFUND, limit=1)
    (charge,) = shop.query("SELECT id FROM charges WHERE idempotency_key = '02'")
    refund = shop.refund(charge["id"], amount=1)
    second = payment_queries.page(connection, REFUND, limit=1, cursor=first.next_cursor)
    assert second.rows[0].id not in (first.rows[0].id, refund["id"])
    shop.query("DELETE FROM deliveries; DELETE FROM refunds WHERE amount = 1")


def test_everything_is_read_a_page_at_a_time(connection: Connection) -> None:
    rows = payment_queries.every(connection, CHARGE)
    assert next(rows).idempotency_key == "24"
    assert len(list(rows)) == 24


@every(
    "filters, count",
    [
        ({"customer_id": "cus_ada"}, 5),
        ({"state": "failed"}, 4),
        ({"state": "failed", "customer_id": "cus_ada"}, 1),
        ({"reference": "order-7"}, 1),
        ({"reference": None, "state": None}, 25),
        ({"reference": "' OR 1=1"}, 0),
        ({"created_after": datetime.now(UTC) + timedelta(days=1)}, 0),
        ({"created_before": datetime.now(UTC) - timedelta(days=1)}, 0),
        ({"created_after": datetime.now(UTC) - timedelta(days=1)}, 25),
    ],
)
def test_filters_narrow_a_list(connection: Connection, filters: dict, count: int) -> None:
    assert len(payment_queries.page(connection, CHARGE, filters=filters, limit=100).rows) == count


def test_the_bounds_of_time_are_from_inclusive_to_exclusive(connection: Connection) -> None:
    at = payment_queries.page(connection, CHARGE, limit=1).rows[0].created_at
    bounds = {"created_after": at, "created_before": at + timedelta(microseconds=1)}
    assert len(payment_queries.page(connection, CHARGE, filters=bounds).rows) == 1
    assert (
        payment_queries.page(connection, CHARGE, filters={"created_before": at}).rows[0].created_at
        < at
    )


def test_refunds_are_listed_by_charge(shop: Counter, connection: Connection) -> None:
    (charge,) = shop.query("SELECT id FROM charges WHERE idempotency_key = '01'")
    page = payment_queries.page(connection, REFUND, filters={"charge_id": charge["id"]})
    assert [row.amount for row in page.rows] == [100]


def test_charges_are_listed_by_price_under_each_of_its_names(
    shop: Counter, connection: Connection
) -> None:
    tea = shop.price(lookup_key="tea")
    with shop.engine.begin() as ours:
        # Only their price: what stands in this list is not what the others count.
        ours.execute(
            text("UPDATE charges SET price_id = :id, quantity = 1 WHERE idempotency_key < '02'"),
            {"id": tea["id"]},
        )
    for name in (tea["id"], "tea"):
        page = payment_queries.page(connection, CHARGE, filters={"price_id": name})
        assert [row.idempotency_key for row in page.rows] == ["01", "00"]
    unknown = {"price_id": "price_" + "a" * 32}
    assert payment_queries.page(connection, CHARGE, filters=unknown).rows == []
    with pytest.raises(InvalidRequest, match="no price with this lookup key") as refused:
        payment_queries.page(connection, CHARGE, filters={"price_id": "cocoa"})
    assert refused.value.param == "price_id"


def test_a_cursor_stays_with_the_price_whose_lookup_key_moves(
    shop: Counter, connection: Connection
) -> None:
    old, new = shop.price(lookup_key="chai"), shop.price()
    for key, price in (("02", old), ("03", old), ("04", new)):
        shop.query(
            "UPDATE charges SET price_id = :id, quantity = 1 WHERE idempotency_key = :key",
            id=price["id"],
            key=key,
        )
    first = payment_queries.page(connection, CHARGE, filters={"price_id": "chai"}, limit=1)
    shop.query("UPDATE prices SET lookup_key = NULL WHERE id = :id", id=old["id"])
    shop.query("UPDATE prices SET lookup_key = 'chai' WHERE id = :id", id=new["id"])
    with pytest.raises(InvalidRequest, match="another order"):
        payment_queries.page(
            connection, CHARGE, filters={"price_id": "chai"}, cursor=first.next_cursor
        )
    by_id = {"price_id": old["id"]}
    second = payment_queries.page(connection, CHARGE, filters=by_id, cursor=first.next_cursor)
    assert [row.idempotency_key for row in second.rows] == ["02"]


def test_a_moment_is_the_same_in_every_zone(connection: Connection) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    first = payment_queries.page(connection, CHARGE, filters={"created_after": at}, limit=1)
    there = {"created_after": at.astimezone(timezone(timedelta(hours=2)))}
    assert payment_queries.page(connection, CHARGE, filters=there, cursor=first.next_cursor).rows


@every(
    "arguments, param",
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "WzEsMl0"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"filters": {"state": "done"}}, "state"),
        ({"filters": {"colour": "red"}}, "colour"),
        ({"filters": {"customer_id": 5}}, "customer_id"),
        ({"filters": {"customer_id": "a\x00b"}}, "customer_id"),
        ({"filters": {"created_after": "yesterday"}}, "created_after"),
        ({"filters": {"created_after": datetime(2026, 1, 1)}}, "created_after"),  # noqa: DTZ001
    ],
    ids=repr,
)
def test_what_cannot_be_read_is_refused(
    connection: Connection, arguments: dict, param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        payment_queries.page(connection, CHARGE, **arguments)
    assert refused.value.param == param


def test_a_page_far_back_is_entered_by_the_index(connection: Connection) -> None:
    cursor = payment_queries.page(connection, CHARGE, limit=20).next_cursor
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    connection.execute(text("SET LOCAL enable_sort = off"))
    plans: list[str] = []

    raw = connection.connection

    class Explaining:
        connection = raw

        def execute(self, statement, parameters):
            sql = statement.compile(connection, compile_kwargs={"literal_binds": True})
            plan = connection.exec_driver_sql(f"EXPLAIN {sql}".replace("%%", "%"))
            plans.extend(plan.scalars())
            return connection.execute(statement, parameters)

    payment_queries.page(Explaining(), CHARGE, cursor=cursor)  # type: ignore[arg-type]
    assert "Index Scan Backward using charges_created_idx" in "\n".join(plans)
    assert "Index Cond: (created_at <=" in "\n".join(plans)


def test_a_page_is_read_as_far_as_it_goes(connection: Connection) -> None:
    """However many rows there are: one more tells that there is a next page."""
    fetched: list[int] = []

    def count(_connection: object, cursor: Any, *_: object) -> None:
        fetched.append(cursor.rowcount)

    event.listen(connection, "after_cursor_execute", count)
    assert len(payment_queries.page(connection, CHARGE, limit=3).rows) == 3
    assert fetched == [4]
