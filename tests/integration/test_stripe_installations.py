"""Two installations on one Stripe account: each has its own, and neither takes the other's."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from payments.processors.installation import Installation, Renamed, installation
from payments.processors.outcomes import (
    Authorized,
    Canceled,
    NotFound,
    Succeeded,
    Unavailable,
)
from payments.processors.port import EventUnanswered, FoundRefund, Order, ProcessorEvent
from payments.processors.stripe import Stripe
from tests.support.sandbox import a_capture, a_charge, a_refund
from tests.support.scripted import scripted_service
from tests.support.sink import Sink, webhook_sink
from tests.support.stripe import WEBHOOK_SECRET, a_snapshot, signed, stripe_at
from tests.support.stripe_door import Door, stripe_door
from tests.support.waiting import wait_for

EPOCH = datetime.fromtimestamp(0, UTC)
NOW = datetime.now(UTC)
DEADLINE_S = 5.0
CHARGE = a_charge(first_sent_at=NOW)


@dataclass(frozen=True)
class Shared:
    """An account, and two installations that have the same ids of ours."""

    door: Door
    sink: Sink
    shop: Stripe
    club: Stripe


@pytest.fixture
def shared() -> Iterator[Shared]:
    with ExitStack() as stack:
        sink = stack.enter_context(webhook_sink())
        door = stack.enter_context(stripe_door(webhook_url=sink.url, webhook_secret=WEBHOOK_SECRET))
        door.client().v1.customers.create({"id": "cus_ada"})  # type: ignore[typeddict-unknown-key]
        shop, club = (
            stack.enter_context(
                stripe_at(door.url, installation=lambda name=name: Installation(name, EPOCH))
            )
            for name in ("shop", "club")
        )
        yield Shared(door, sink, shop, club)


def charged(stripe: Stripe, order: Order = CHARGE) -> Order:
    outcome: Any = stripe.charge(order, deadline_s=DEADLINE_S)
    assert isinstance(outcome, Succeeded | Authorized)
    return replace(order, reference=outcome.reference)


def look_up(stripe: Stripe, order: Order) -> Any:
    return stripe.look_up(replace(order, reference=None), deadline_s=DEADLINE_S)


def test_the_same_id_is_a_charge_of_each(shared: Shared) -> None:
    of_shop = charged(shared.shop)
    assert look_up(shared.club, CHARGE) == NotFound()
    assert shared.club.cancel(CHARGE, deadline_s=DEADLINE_S) == NotFound()
    of_club = charged(shared.club)
    assert of_shop.reference != of_club.reference
    assert look_up(shared.shop, CHARGE).reference == of_shop.reference
    assert look_up(shared.club, CHARGE).reference == of_club.reference
    assert charged(shared.shop) == of_shop  # the same key, the same answer
    assert [one["amount"] for one in shared.door.movements()] == [1000, 1000]


def test_a_capture_and_a_refund_move_money_of_their_own_charge(shared: Shared) -> None:
    held = [charged(one, replace(CHARGE, capture="manual")) for one in (shared.shop, shared.club)]
    capture = a_capture(held[0], amount=300, first_sent_at=NOW)
    assert shared.shop.capture(capture, deadline_s=DEADLINE_S) == Succeeded(
        str(held[0].reference), 300
    )
    assert isinstance(look_up(shared.club, CHARGE), Authorized)
    refund = a_refund(held[0], amount=100, charge_reference=held[0].reference, first_sent_at=NOW)
    assert isinstance(shared.shop.refund(refund, deadline_s=DEADLINE_S), Succeeded)
    assert isinstance(look_up(shared.shop, refund), Succeeded)
    assert look_up(shared.club, replace(refund, charge_reference=held[1].reference)) == NotFound()
    assert shared.club.cancel(held[1], deadline_s=DEADLINE_S) == Canceled(held[1].reference)


def test_events_of_the_other_are_about_nothing_here(shared: Shared) -> None:
    held = charged(shared.shop, replace(CHARGE, payment_method_id="pm_card_createDispute"))
    wait_for(lambda: _told(shared, "charge.dispute.funds_withdrawn"), what="the dispute")
    other = charged(shared.shop, a_charge(first_sent_at=NOW))
    shared.door.client().v1.refunds.create({"payment_intent": str(other.reference)})
    wait_for(lambda: _told(shared, "charge.refund.updated"), what="the refund of the dashboard")
    seen = {"shop": set(), "club": set()}  # type: dict[str, set[type]]
    for one in shared.sink.requests:
        for name, stripe in (("shop", shared.shop), ("club", shared.club)):
            heard = stripe.hear(dict(one.headers), one.body, deadline_s=DEADLINE_S)
            seen[name].add(type(heard))
    assert seen["shop"] >= {ProcessorEvent, FoundRefund}
    assert seen["club"] == {type(None)}
    assert held.id == CHARGE.id


def _told(shared: Shared, type_: str) -> bool:
    return any(f'"type": "{type_}"'.encode() in one.body for one in shared.sink.requests)


def test_books_have_what_is_the_others_as_other_lines(shared: Shared) -> None:
    of_shop, of_club = charged(shared.shop), charged(shared.club)
    shared.door.client().v1.refunds.create({"payment_intent": str(of_club.reference)})
    until = NOW + timedelta(days=1)
    lines = list(shared.shop.records(NOW - timedelta(days=1), until))
    assert [(one.kind, one.object_id) for one in lines] == [
        ("other", None),
        ("other", None),
        ("charge", CHARGE.id),
    ]
    assert lines[-1].reference == of_shop.reference
    of_the_club = list(shared.club.records(NOW - timedelta(days=1), until))
    assert [one.kind for one in of_the_club] == ["refund", "charge", "other"]
    shared.door.wait(2 * 86_400)
    (payout,) = shared.door.pay_out()
    assert sum(one.net or 0 for one in shared.shop.records_of_payout(payout["id"])) == 0


def test_what_was_sent_before_names_were_known_goes_on_without_one(shared: Shared) -> None:
    later = Installation("shop", NOW)
    before = replace(CHARGE, first_sent_at=NOW - timedelta(seconds=1))
    with (
        stripe_at(shared.door.url) as old,
        stripe_at(shared.door.url, installation=lambda: later) as new,
    ):
        sent = charged(old, before)
        assert charged(new, before) == sent
        assert look_up(new, before).reference == sent.reference
        assert look_up(new, CHARGE) == NotFound()
        assert charged(new, CHARGE).reference != sent.reference
    assert len(shared.door.movements()) == 2


def test_whose_it_is_is_known_before_anything_is_asked() -> None:
    def nobody_knows() -> Installation:
        raise ConnectionError

    def renamed() -> Installation:
        raise Renamed("shop", "club")

    body = a_snapshot({"id": "pi_1", "object": "payment_intent"})
    with scripted_service() as service:
        for ask, reason, told in (
            (nobody_knows, "installation_unknown", "does not say whose objects are ours"),
            (renamed, "installation_renamed", "under another name"),
        ):
            with stripe_at(service.url, installation=ask) as stripe:
                for verb in (stripe.charge, stripe.look_up, stripe.cancel):
                    answer = verb(CHARGE, deadline_s=DEADLINE_S)
                    assert isinstance(answer, Unavailable)
                    assert answer.reason == reason
                    assert answer.needs_operator == (ask is renamed)
                with pytest.raises(EventUnanswered, match=reason):
                    stripe.hear(signed(body), body, deadline_s=DEADLINE_S)
                assert told in (stripe.check(deadline_s=DEADLINE_S) or "")
        assert service.asked == []


def test_a_database_has_one_name_from_its_first_use_on(engine: Engine) -> None:
    with engine.begin() as connection:
        made = installation(connection)
        assert made.named_from == EPOCH
        assert installation(connection) == made
        with pytest.raises(Renamed):
            installation(connection, "shop")
        connection.execute(text("DELETE FROM installation"))
        assert installation(connection, "shop").name == "shop"
        assert installation(connection).name == "shop"
        with pytest.raises(Renamed):
            installation(connection, "club")
        # As an upgrade leaves it: not used yet, so it may still be named.
        connection.execute(text("UPDATE installation SET used_at = NULL, named_from = now()"))
        named = installation(connection, "club")
        assert (named.name, named.named_from > EPOCH) == ("club", True)
