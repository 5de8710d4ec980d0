"""Whatever somebody has in hand is found, newest first; and by an index, however many there are."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from infra.billing.contract.ids import event_id
from payments.access.scopes import OPERATOR, Access
from payments.history import identifiers, metadata_words, search
from payments.history.search import Found
from payments.history.timeline import timeline
from payments.payment_errors import InvalidRequest, NotFound
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.every import every
from tests.support.webhooks import an_endpoint, deliveries

SHOP = {
    "producer": "shop",
    "idempotency_key": "cart:17",
    "reference": "order-17",
    "customer_id": "cus_anna",
    "amount": 1999,
    "currency": "EUR",
    "metadata": {"channel": "web shop", "mail": "anna@example.org"},
}
# Of the newest charges in the table below, so many a kind.
MANY = 40_000


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as busy:
        yield busy


def found(engine: Engine, wanted: str, access: Access = OPERATOR, **more: Any) -> list[Found]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return search.search(connection, wanted, access=access, **more).found


def hits(engine: Engine, wanted: str, access: Access = OPERATOR) -> dict[str, Sequence[str]]:
    return {one.id: one.found_by for one in found(engine, wanted, access)}


@every(
    "wanted, by",
    [
        ("cart:17", "idempotency_key"),
        ("order-17", "reference"),
        ("cus_anna", "customer_id"),
        ("19.99 EUR", "amount"),
        ("eur 19,99", "amount"),
        ("19.99", "amount"),
        ("1999", "amount"),
        ("1999 EUR", "amount"),
        ("channel:web shop", "metadata"),
        ("shop web", "metadata"),
        ("anna@example.org", "metadata"),
    ],
)
def test_a_charge_is_found_by_what_its_caller_said(
    engine: Engine, till: Counter, wanted: str, by: str
) -> None:
    till.charge(amount=5, currency="USD", metadata={"channel": "app", "note": "web"})
    charge = till.charge(**SHOP)
    assert hits(engine, wanted) == {charge["id"]: [by]}


@every("wanted", ["19.99 USD", "channel:web", "0", "1999 EUR USD", "annas", "order", "ch_17"])
def test_nothing_else_is(engine: Engine, till: Counter, wanted: str) -> None:
    till.charge(**SHOP)
    assert hits(engine, wanted) == {}


def test_what_came_of_it_is_found_by_its_own_ids(engine: Engine, till: Counter) -> None:
    endpoint = an_endpoint(engine, "http://127.0.0.1:9/hook")
    charge = till.charge(**SHOP)
    refund = till.refund(charge["id"], amount=300, producer="shop", idempotency_key="back-1")
    price = till.price(lookup_key="tea-large")
    of_charge = event_id(charge["id"], 1)
    (delivery, *_) = deliveries(engine)
    types = {
        charge["id"]: "charge",
        charge["processor_reference"]: "charge",
        refund["id"]: "refund",
        "back-1": "refund",
        of_charge: "event",
        endpoint.id: "webhook_endpoint",
        "127.0.0.1:9": "webhook_endpoint",
        price["id"]: "price",
        "tea-large": "price",
        price["product_id"]: "product",
    }
    for wanted, kind in types.items():
        (one,) = found(engine, wanted)
        assert one.type == kind, wanted
    assert len(found(engine, "ada")) > 1  # what she did
    assert delivery["id"]


def test_a_key_is_found_by_its_id_and_by_itself(engine: Engine, billing: Billing) -> None:
    made = billing("keys", "create", "shop", "--json").json
    for wanted in (made["id"], made["key"], "shop"):
        (one,) = found(engine, wanted)
        assert (one.type, one.id) == ("api_key", made["id"])


def test_others_are_not_there_for_a_key_of_one_producer(engine: Engine, till: Counter) -> None:
    charge = till.charge(**SHOP)
    price = till.price(lookup_key="tea-large")
    refund = till.refund(charge["id"], amount=300, producer="shop", idempotency_key="back-1")
    shop, other = (Access(name, frozenset({"charges:read"})) for name in ("shop", "other"))
    for wanted in (charge["id"], "cart:17", "order-17", "19.99 EUR", "web shop", refund["id"]):
        assert hits(engine, wanted, shop), wanted
        assert hits(engine, wanted, other) == {}, wanted
    # Nor is what its scopes don't let it see.
    for wanted in (price["id"], "tea-large", "ada"):
        assert hits(engine, wanted, shop) == {}, wanted
    prices = Access("other", frozenset({"prices:read"}))
    assert hits(engine, "tea-large", prices) == {price["id"]: ["lookup_key"]}


def test_pages_follow_each_other_without_gap_or_repeat(engine: Engine, till: Counter) -> None:
    made = [
        till.charge(**{**SHOP, "idempotency_key": str(n), "reference": str(n)}) for n in range(7)
    ]
    newest_first = [one["id"] for one in reversed(made)]
    for wanted in ("cus_anna", "19.99 EUR", "web shop"):
        seen, cursor = [], None
        while True:
            with engine.connect() as connection:
                page = search.search(connection, wanted, limit=3, cursor=cursor)
            seen += [one.id for one in page.found]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == newest_first, wanted
    with engine.connect() as connection:
        first = search.search(connection, "cus_anna", limit=3)
        with pytest.raises(InvalidRequest, match="cursor"):
            search.search(connection, "web shop", limit=3, cursor=first.next_cursor)


@every("wanted", ["", "  ", "x" * 201, "a\x00b"])
def test_what_is_no_text_is_refused(engine: Engine, wanted: str) -> None:
    with engine.connect() as connection, pytest.raises(InvalidRequest) as refused:
        search.search(connection, wanted)
    assert refused.value.param == "q"


def test_the_command_finds_and_explain_tells_the_rest(
    engine: Engine, till: Counter, billing: Billing
) -> None:
    charge = till.charge(**SHOP)
    till.charge(**{**SHOP, "idempotency_key": "2", "reference": None})
    answer = billing("find", "19.99 EUR", "--limit", "1")
    assert answer.code == 0
    assert "19.99 EUR" in answer.out
    assert "there are more than these 1" in answer.err
    assert billing("find", "order-17", "--producer", "other", "--json").json == []
    (one,) = billing("find", "order-17", "--json").json
    assert (one["id"], one["found_by"], one["object"]) == (charge["id"], ["reference"], "find")
    for wanted in ("web shop", "19.99 EUR", one["id"], "channel:web shop"):
        told = billing("explain", wanted)
        assert told.code == 0, wanted
        assert charge["id"] in told.out, wanted


def test_with_more_producers_than_are_looked_through_one_is_named(
    engine: Engine, till: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("app", "shop", "zoo"):
        till.charge(producer=name, idempotency_key="first")
    charge = till.charge(producer="zoo", idempotency_key="cart:17")
    with engine.connect() as connection:
        assert not search.search(connection, "cart:17").is_part
        monkeypatch.setattr(identifiers, "PRODUCERS_MAX", 3)  # and "default"
        part = search.search(connection, "cart:17")
        assert (part.found, part.is_part) == ([], True)
        assert not search.search(connection, charge["id"]).is_part
        (one,) = search.search(connection, "zoo:cart:17").found
        assert (one.id, one.found_by) == (charge["id"], ["idempotency_key"])
        zoo = Access("zoo", frozenset({"charges:read"}))
        own = search.search(connection, "cart:17", access=zoo)
        assert ([one.id for one in own.found], own.is_part) == ([charge["id"]], False)
        with pytest.raises(NotFound, match="shop:order-1042"):
            timeline(connection, "cart:17", producer=None, statements={})
        assert timeline(connection, "zoo:cart:17", producer=None, statements={})


def test_a_key_is_found_by_it_and_its_producer(
    engine: Engine, till: Counter, billing: Billing
) -> None:
    charge = till.charge(**SHOP)
    assert hits(engine, "shop:cart:17") == {charge["id"]: ["idempotency_key"]}
    assert hits(engine, "other:cart:17") == {}
    assert charge["id"] in billing("explain", "shop:cart:17").out


# --- Plans


@pytest.fixture
def crowded(database_url: str) -> Iterator[Engine]:
    """Many charges of a few customers, amounts and words; without limits of time."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO charges (id, producer, idempotency_key, fingerprint, currency, metadata,
                state, processor, created_at, settled_at, amount, customer_id, reference,
                processor_reference, request_id)
            SELECT 'ch_' || translate(md5(i::text), '0189', 'wxyz'), 'p' || i % 5, 'k' || i, 'f',
                (ARRAY['USD', 'EUR', 'GBP'])[1 + i % 3],
                jsonb_build_object('channel', (ARRAY['web', 'app'])[1 + i % 2], 'cart', 'c' || i,
                    'rare', 'r' || i % 6000,
                    'era', CASE WHEN i > :many / 2 THEN 'new' ELSE 'old' END),
                'succeeded', 'sandbox', now() - (:many - i) * interval '1 second', now(),
                100 + i % 2000, 'cus_' || i % 1000, 'ref' || i, 'sbx' || i, 'req' || i
            FROM generate_series(1, :many) AS i
            """),
            {"many": MANY},
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE charges"))
    yield engine
    engine.dispose()


@every("access", [OPERATOR, Access("p2", frozenset({"charges:read"}))], ids=["all", "p2"])
def test_a_word_of_many_that_are_old_is_found_page_by_page(
    crowded: Engine, monkeypatch: pytest.MonkeyPatch, access: Access
) -> None:
    monkeypatch.setattr(metadata_words, "LOOKED_AT_MAX", 3_000)
    numbers: list[int] = []
    short = 0
    cursor = None
    with crowded.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while len(numbers) < 50:
            page = search.search(connection, "old", access=access, cursor=cursor)
            assert page.next_cursor is not None
            assert (page.looked_until is not None) == (len(page.found) < 20)
            short += len(page.found) < 20
            numbers += [int(str(one.name).removeprefix("ref")) for one in page.found]
            cursor = page.next_cursor
    assert short > 0
    newest = [number for number in range(MANY // 2, 0, -1) if access.sees(f"p{number % 5}")]
    assert numbers == newest[: len(numbers)]


def test_a_word_that_nobody_has_ends_at_once(crowded: Engine) -> None:
    with crowded.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        page = search.search(connection, "nobody-has-this")
    assert page == search.Page([], None)


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from scans(part)


def test_no_way_reads_the_table_or_sorts_more_than_it_shows(crowded: Engine) -> None:
    """Each statement of a search, as the database would carry it out: no scan of charges from one
    end to the other, and of each scan no more rows than the newest that are looked through."""
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.lstrip().startswith("EXPLAIN"):  # which reads nothing
            statements.append((statement, parameters))

    wanted = (
        "ref500", "cus_7", "k77", "19.99 EUR", "1999", "channel:web", "web", "cart:c777", "r42",
        "rare:r42", "req99", "sbx99", "nothing-like-it",
    )  # fmt: skip
    with crowded.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for one in wanted:
            statements.clear()
            event.listen(connection, "before_cursor_execute", note)
            page = search.search(connection, one)
            event.remove(connection, "before_cursor_execute", note)
            assert page.found or one in ("k77", "nothing-like-it"), one
            # Some of so few rows are read faster from one end to the other than by an index: what
            # is to be seen is that each has one.
            connection.exec_driver_sql("SET enable_seqscan = off")
            for statement, parameters in statements:
                (told,) = connection.exec_driver_sql(
                    f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
                ).one()
                plan = told if isinstance(told, list) else json.loads(told)
                for scan in scans(plan[0]["Plan"]):
                    is_of_charges = scan.get("Relation Name") == "charges"
                    assert not (is_of_charges and scan["Node Type"] == "Seq Scan"), (one, scan)
                    # By an index alone a place among the newest is counted out.
                    most = 20_000 if scan["Node Type"] == "Index Only Scan" else 5_000
                    if is_of_charges:
                        assert scan["Actual Rows"] <= most, (one, scan["Node Type"])
