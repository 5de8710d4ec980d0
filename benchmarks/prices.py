"""Prices: what a charge by price costs beside one of an amount, and a page of them beside others.

`python -m benchmarks.prices`: the rules alone, on a throwaway PostgreSQL; no worker, no queue. All
ways take turns, so that a trend of the machine hits each of them.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine

from infra.billing.contract.limits import QUANTITY_MAX
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.price_request import PriceRequest
from infra.billing.contract.requests.product_request import ProductRequest
from local.embedded import throwaway
from payments.catalog import listing, prices, products
from payments.lifecycle import database_steps
from payments.lifecycle.accepting.charges import NewCharge
from payments.lifecycle.claims import Claimed, lease
from payments.lifecycle.database_steps import Begin, Settlement
from payments.lifecycle.settlement import Policy, timedelta
from payments.parsing import parse
from payments.processors.outcomes import Declined, Succeeded
from service.database import migrate
from service.wiring import open_database
from tests.support.acting import Database

BATCH = 64  # of one transaction, as a worker makes them
LISTED = 100_000
TIERS = [{"up_to": 5, "unit_amount": 700}, {"up_to": 10, "unit_amount": 650}, {"unit_amount": 600}]
DECLINED = Declined("card_declined", "declined", "The card was declined.")

_numbers = count()
_RUN = uuid4().hex


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each way; the median counts.")] = 40,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Also write all medians to this file.")
    ] = None,
) -> None:
    """Measures charges by price, and pages of prices."""
    with throwaway.servers(durable=True) as servers:
        engine = open_database(servers.postgres.url_of("postgres"))
        migrate.upgrade(engine)
        selling = _taking_turns(_ways_to_sell(Database(engine)), rounds, per=BATCH)
        _fill(engine)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            paging = _taking_turns(_pages(connection), rounds, per=1)
        engine.dispose()
    _show(f"A charge, accepted and settled {BATCH} at a time", selling)
    _show(f"A page of 20 of {LISTED:,} prices, counted", paging)
    if json_path:
        json_path.write_text(json.dumps({"selling": selling, "paging": paging}, indent=2))


def _taking_turns(
    ways: Mapping[str, Callable[[], None]], rounds: int, *, per: int
) -> dict[str, float]:
    """Milliseconds of each way, the median of all turns; the first way is what others are held
    against."""
    took: dict[str, list[float]] = defaultdict(list)
    for way in ways.values():
        way()  # to be warm
    for turn in range(rounds):
        order = list(ways.items())
        for name, way in order if turn % 2 == 0 else reversed(order):
            start_s = time.perf_counter()
            way()
            took[name].append(1000 * (time.perf_counter() - start_s) / per)
    return {name: median(times) for name, times in took.items()}


def _ways_to_sell(database: Database) -> dict[str, Callable[[], None]]:
    unlimited = _price(database, unit_amount=700, lookup_key="seats")
    tiers = _price(database, tiers=TIERS, tiers_mode="graduated")
    stock = _price(database, unit_amount=700, quantity_available=QUANTITY_MAX)
    sell = partial(_sell, database)
    return {
        "by amount": partial(sell, {"amount": 700, "currency": "USD"}),
        "by price": partial(sell, {"price_id": unlimited, "quantity": 3}),
        "by lookup key": partial(sell, {"price_id": "seats", "quantity": 3}),
        "by tiers": partial(sell, {"price_id": tiers, "quantity": 25}),
        "with stock": partial(sell, {"price_id": stock, "quantity": 3}),
        "by amount, declined": partial(sell, {"amount": 700, "currency": "USD"}, found=DECLINED),
        "with stock, declined": partial(sell, {"price_id": stock, "quantity": 3}, found=DECLINED),
    }


def _sell(database: Database, fields: Mapping[str, Any], found: Any = None) -> None:
    """Accept and claim a batch in one transaction, and settle it in another."""
    items = []
    for _ in range(BATCH):
        mine = lease("bench", 60.0)
        request = parse(ChargeRequest, {**fields, "idempotency_key": _key()})
        items.append(Begin(mine, new=NewCharge(request, "sandbox", mine)))
    with database.transaction() as transaction:
        begun = database_steps.begin(transaction, items, processors=("sandbox",))
    claimed = [one for one in begun if isinstance(one, Claimed)]
    if len(claimed) != BATCH:
        raise RuntimeError(f"{len(claimed)} of {BATCH} were sold")
    outcome = found or Succeeded("sbx_1")
    with database.transaction() as transaction:
        database_steps.settle(
            transaction,
            [Settlement(one, "charge", outcome) for one in claimed],
            policies={"sandbox": Policy(key_window=timedelta(days=1))},
            dice=lambda: 0.0,
        )


def _pages(connection: Connection) -> dict[str, Callable[[], None]]:
    """Pages at several places, and by a cursor behind the middle."""
    last = LISTED // listing.PAGE_SIZE
    near = listing.page(connection, "price", page=last // 2, filters={"active": True})
    at = {"first": 1, "a quarter": last // 4, "middle": last // 2, "last": last}

    def look(**place: Any) -> None:
        found = listing.page(connection, "price", filters={"active": True}, **place)
        if len(found.views) != listing.PAGE_SIZE:
            raise RuntimeError(f"{len(found.views)} on a page")

    ways: dict[str, Callable[[], None]] = {
        name: partial(look, page=number) for name, number in at.items()
    }
    return {**ways, "by cursor, middle": partial(look, cursor=near.next_cursor)}


def _price(database: Database, **fields: Any) -> str:
    product = parse(ProductRequest, {"name": "Tea", "idempotency_key": _key()})
    asked = {"product_id": product.id, "currency_id": "cur_usd", "idempotency_key": _key()}
    with database.transaction() as transaction:
        products.create(transaction, product, livemode=False)
        row, _ = prices.create(
            transaction, parse(PriceRequest, {**asked, **fields}), livemode=False
        )
    return str(row.id)


def _fill(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"""
            INSERT INTO prices (id, producer, idempotency_key, fingerprint, product_id, type,
                                billing_scheme, currency, unit_amount, created_at)
            SELECT 'price_' || translate(md5(n::text), '0189', 'wxyz'), 'past', n, 'f',
                   (SELECT id FROM products LIMIT 1), 'one_time', 'per_unit', 'USD', 100,
                   now() - n / 10 * interval '1 s'
            FROM generate_series(1, {LISTED}) n
            """
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE prices")


def _key() -> str:
    return f"{_RUN}-{next(_numbers)}"


def _show(title: str, medians: Mapping[str, float]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("ms", justify="right")
    table.add_column("ratio", justify="right")
    first = next(iter(medians.values()))
    for name, took_ms in medians.items():
        table.add_row(name, f"{took_ms:.3f}", f"{took_ms / first:.2f}×")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
