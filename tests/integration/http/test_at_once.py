"""Charges that are taken with one statement: what they are, and what is left for a transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, select, text

from api.database import Database
from api.edge.problems import Held
from api.http_intake import Intake
from api.taking import Call, Taken
from models.rows import columns_of
from payments.access import keys
from payments.kinds import CHARGE
from payments.lifecycle.accepting.asked import Accepted
from payments.payment_errors import KeyReused, ReferenceInUse, Refused
from payments.transaction import Wakes
from service.database.connecting import AsyncConnection
from service.settings import Settings
from service.wiring import processors
from tests.support import acting
from tests.support.factories import Till
from tests.support.pgbouncer import pgbouncer
from tests.support.web import a_key
from tests.support.webhooks import an_endpoint

AHEAD = datetime.now(UTC) + timedelta(days=1)


class Door:
    """The door of charges, without HTTP around it."""

    def __init__(self, url: str, settings: Settings, key: str) -> None:
        self.woken: list[str] = []
        self.database = Database(url, self._wake)
        self.intake = Intake(self.database, processors=processors(settings))
        shown = keys.presented(key)
        assert shown is not None
        self.shown = shown

    def _wake(self, wakes: Wakes) -> None:
        self.woken += wakes.charges

    async def taken(self, name: str, **fields: Any) -> Taken:
        asked = {"amount": 1999, "currency": "USD", "idempotency_key": name, **fields}
        call = Call(self.shown, "charges:write", asked, "req_1")
        return await self.intake.take("charge", call)

    async def accepted(self, name: str, **fields: Any) -> Accepted:
        answer = (await self.taken(name, **fields)).answer
        assert isinstance(answer, Accepted), answer
        return answer

    async def refused(self, name: str, **fields: Any) -> Refused:
        answer = (await self.taken(name, **fields)).answer
        assert isinstance(answer, Refused), answer
        return answer


class Story:
    """What happens at a door that knows its caller."""

    def __init__(self, url: str, engine: Engine, settings: Settings) -> None:
        self._url, self._engine, self._settings = url, engine, settings
        self.key = a_key(engine, "shop")

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[Door]:
        door = Door(self._url, self._settings, self.key)
        try:
            for number in range(8):  # what is connected, learned and planned once
                await door.accepted(f"before-{number}")
            door.woken.clear()
            yield door
        finally:
            await door.database.close()

    def run(self, happens: Callable[[Door], Any]) -> Any:
        async def story() -> Any:
            async with self.begun() as door:
                return await happens(door)

        return asyncio.run(story())


@pytest.fixture
def story(engine: Engine, make_settings: Callable[..., Settings]) -> Story:
    return Story(engine.url.render_as_string(hide_password=False), engine, make_settings())


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is waited for at the database, and whether a transaction is open before and after it: a
    round trip each, and one more where one is begun."""
    seen: list[str] = []
    wait = AsyncConnection.wait

    async def noted(self: AsyncConnection, gen: Any, *args: Any, **named: Any) -> Any:
        before = TransactionStatus(self.pgconn.transaction_status)
        answer = await wait(self, gen, *args, **named)
        after = TransactionStatus(self.pgconn.transaction_status)
        if gen.__name__ == "_execute_gen" or before is not after:
            seen.append(f"{gen.__name__[1:-4]}: {before.name} -> {after.name}")
        return answer

    monkeypatch.setattr(AsyncConnection, "wait", noted)
    return seen


def row_of(engine: Engine, id_: str) -> dict[str, Any]:
    table = CHARGE.table
    with engine.connect() as connection:
        return dict(connection.execute(select(table).where(table.c.id == id_)).one()._mapping)


def test_a_lone_charge_is_one_statement(engine: Engine, story: Story, trips: list[str]) -> None:
    async def happens(door: Door) -> Accepted:
        trips.clear()
        accepted = await door.accepted("order-1")
        assert door.woken == [accepted.row.id]
        return accepted

    accepted = story.run(happens)
    print("\n".join(trips))  # noqa: T201  # the measure itself
    assert accepted.fresh
    assert trips == ["execute: IDLE -> IDLE"]
    assert row_of(engine, accepted.row.id)["state"] == "pending"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"metadata": {"longer": "2", "a": "é"}, "customer_id": "cus_1", "description": ""},
        {"capture": "manual", "reference": "order", "payment_method_id": "pm_card_visa"},
        {"scheduled_at": AHEAD.isoformat(), "expires_in_s": 60},
        {"scheduled_at": (AHEAD - timedelta(days=2)).isoformat()},
        {"expires_in_s": 3600, "return_url": "https://shop.example.com/"},
    ],
)
def test_what_is_answered_is_what_is_written(
    engine: Engine, story: Story, fields: dict[str, Any]
) -> None:
    async def happens(door: Door) -> tuple[Accepted, list[str]]:
        return await door.accepted("order-1", **fields), door.woken

    accepted, woken = story.run(happens)
    answered = columns_of(accepted.row)
    assert answered.pop("now") <= answered["created_at"]
    written = row_of(engine, accepted.row.id)
    assert answered == written
    assert list(answered["metadata"]) == list(written["metadata"])
    assert (woken == [accepted.row.id]) is (written["woken_at"] is not None)


def test_what_is_written_is_as_a_transaction_writes_it(engine: Engine, story: Story) -> None:
    """The same request, by a caller who isn't known yet."""

    async def once(door: Door) -> str:
        return (await door.accepted("order-1", capture="manual", expires_in_s=60)).row.id

    async def anew(door: Door) -> str:
        door.intake = Intake(door.database, processors=processors(story._settings))
        return (await door.accepted("order-2", capture="manual", expires_in_s=60)).row.id

    own = {"id", "idempotency_key", "created_at", "next_attempt_at", "woken_at", "expires_at"}
    one, other = (row_of(engine, story.run(how)) for how in (once, anew))
    assert {n: v for n, v in one.items() if n not in own} == {
        n: v for n, v in other.items() if n not in own
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE api_keys SET revoked_at = now()", "unauthenticated"),
        ("UPDATE api_keys SET scopes = ARRAY['read']", "insufficient_scope"),
        ("UPDATE api_keys SET secret_sha256 = decode(repeat('00', 32), 'hex')", "unauthenticated"),
        ("DELETE FROM api_keys", "unauthenticated"),
    ],
)
def test_a_key_that_changed_is_as_it_is_now(
    engine: Engine, story: Story, change: str, code: str
) -> None:
    async def happens(door: Door) -> Refused:
        with engine.begin() as connection:
            connection.execute(text(change))
        return await door.refused("order-1")

    assert story.run(happens).code == code
    with engine.connect() as connection:
        kept = text("SELECT count(*) FROM charges WHERE idempotency_key = 'order-1'")
        assert connection.execute(kept).scalar_one() == 0


def test_those_that_come_together_are_answered_each(story: Story) -> None:
    async def happens(door: Door) -> Sequence[Taken]:
        await door.accepted("first", reference="taken")
        return await asyncio.gather(
            door.taken("alone"),
            door.taken("twice"),
            door.taken("twice"),
            door.taken("twice", amount=5),
            door.taken("one", reference="shared"),
            door.taken("other", reference="shared"),
            door.taken("late", reference="taken"),
            door.taken("wrong", currency="XXZ"),
            door.taken("before-0"),
        )

    alone, twice, again, reused, one, other, late, wrong, before = (
        taken.answer for taken in story.run(happens)
    )
    fresh = [answer.fresh for answer in (alone, twice, again, one, before)]
    assert fresh == [True, True, False, True, False]
    assert isinstance(reused, KeyReused)
    assert isinstance(other, ReferenceInUse)
    assert isinstance(late, ReferenceInUse)
    assert wrong.param == "currency"


def test_those_that_were_written_are_answered_whatever_holds_up_others(
    engine: Engine, story: Story
) -> None:
    price = Till(engine).price(stock=10)

    async def happens(door: Door) -> Sequence[Any]:
        with engine.begin() as held:
            held.execute(text("SELECT FROM prices WHERE id = :id FOR UPDATE"), {"id": price})
            by_price = door.taken(
                "by-price", amount=None, currency=None, price_id=price, quantity=1
            )
            by_amount = [door.taken(f"by-amount-{number}") for number in range(5)]
            return await asyncio.gather(by_price, *by_amount, return_exceptions=True)

    waits, *others = story.run(happens)
    assert isinstance(waits, Held)
    assert [one.answer.fresh for one in others] == [True] * 5


def test_whoever_asks_to_be_told_is_told_in_the_same_transaction(
    engine: Engine, story: Story
) -> None:
    async def happens(door: Door) -> Accepted:
        an_endpoint(engine, "http://127.0.0.1:9/hook", event_types=["charge.pending"])
        return await door.accepted("order-1")

    accepted = story.run(happens)
    assert accepted.fresh
    with engine.connect() as connection:
        told = text("SELECT type FROM events WHERE object_id = :id")
        types = connection.execute(told, {"id": accepted.row.id}).scalars().all()
    assert types == ["charge.pending"]


def test_for_whom_it_is_no_use_it_is_not_tried_until_it_is(
    engine: Engine, story: Story, trips: list[str]
) -> None:
    began: list[str] = []

    async def asked(door: Door, name: str) -> None:
        trips.clear()
        await door.accepted(name)
        began.append(trips[0])

    async def happens(door: Door) -> None:
        an_endpoint(engine, "http://127.0.0.1:9/hook", event_types=["charge.pending"])
        for number in range(2):
            await asked(door, f"told-{number}")
        with engine.begin() as connection:
            connection.execute(text("UPDATE webhook_endpoints SET state = 'disabled'"))
        for number in range(2):
            await asked(door, f"not-told-{number}")

    story.run(happens)
    tried, begun = "execute: IDLE -> IDLE", "execute: IDLE -> INTRANS"
    assert began == [tried, begun, begun, tried]


def test_behind_a_pooler_it_is_a_transaction_with_its_limits(
    engine: Engine, make_settings: Callable[..., Settings], database_url: str, trips: list[str]
) -> None:
    async def happens(door: Door) -> Accepted:
        trips.clear()
        return await door.accepted("order-1")

    with pgbouncer(database_url) as url:
        accepted = Story(url, engine, make_settings()).run(happens)
    assert accepted.fresh
    assert trips[0] == "execute: IDLE -> INTRANS"


def test_an_update_of_any_kind_makes_another_version_of_a_key(engine: Engine) -> None:
    with acting.Database(engine).transaction() as transaction:
        row, _ = keys.create(transaction, producer="shop")
    versions = []
    for _ in range(2):
        with engine.begin() as connection:
            versions.append(keys.read(connection, [row.id])[row.id].version)
            connection.execute(text("UPDATE api_keys SET producer = producer"))
    assert versions[0] != versions[1]


def test_once_there_is_no_pooler_any_more_it_is_one_statement_again(
    story: Story, trips: list[str]
) -> None:
    async def happens(door: Door) -> None:
        door.database.is_pooled = True
        await door.accepted("order-1")
        trips.clear()
        await door.accepted("order-2")

    story.run(happens)
    assert trips == ["execute: IDLE -> IDLE"]
