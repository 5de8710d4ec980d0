"""The SDK at the real door: every verb, and keys, ids and errors that mean the same to both."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from infra import billing
from infra.billing.contract.ids import id_from_key
from payments.access import keys
from payments.processors.outcomes import Succeeded
from payments.webhooks.delivery_loop import Deliverer
from service.wiring import asked_together
from tests.support.acting import Database
from tests.support.both_clients import threads_only
from tests.support.every import every
from tests.support.factories import Till
from tests.support.sdk import sdk_of
from tests.support.sink import Sink
from tests.support.vault import VAULT
from tests.support.waiting import patience_s, wait_for
from tests.support.web import CHARGE, Caller, Web
from tests.support.webhooks import LOOPBACK

pytestmark = pytest.mark.usefixtures("both", "_sdk")

HOUR = timedelta(hours=1)
# What headers, URLs, proxies and databases are fond of changing.
KEYS = [
    "order-1", "Bestellung 7", "größe", "订单-1", "🎉",
    '"7"', '"', "'", "\\", " 7 ", "a,b", "7;x=y",
    "%41", "a+b", "a/../b", "e\u0301", "\u00e9", "\u00a0", "null", "0", "k" * 255, "ß" * 255,
]  # fmt: skip


@pytest.fixture
def _sdk(caller: Caller) -> Iterator[None]:
    with sdk_of(caller):
        yield


def settled(till: Till, *ids: str) -> None:
    """A worker's work, done by hand."""
    claims = till.submit(*ids)
    till.settle_all(*((claim, claim.kind.name, Succeeded("sbx_1")) for claim in claims))


@every("key", KEYS)
def test_a_key_is_the_same_charge_and_refund_here_there_and_over_the_broker(
    caller: Caller, key: str
) -> None:
    charge = billing.charge.create(**CHARGE, idempotency_key=key)
    assert charge.idempotency_key == key
    assert charge.charge_id == id_from_key("charge", producer=caller.producer, key=key)
    assert billing.charge.create(**CHARGE, idempotency_key=key) == charge
    bare = caller.post("/charges", json={**CHARGE, "idempotency_key": key})
    assert (bare.status_code, bare.json()) == (200, dict(charge))

    refund = billing.refund.create(charge_id=charge.charge_id, amount=5, idempotency_key=key)
    assert refund.refund_id == id_from_key("refund", producer=caller.producer, key=key)
    assert (
        billing.refund.create(charge_id=charge.charge_id, amount=5, idempotency_key=key) == refund
    )

    with pytest.raises(billing.KeyReused) as reused:
        billing.charge.create(amount=2, currency="USD", idempotency_key=key)
    assert reused.value.idempotency_key == key


def test_a_charge_is_created_read_listed_and_told_of(caller: Caller, till: Till) -> None:
    customer = f"größe-{caller.producer}"  # whom no other test has
    fields = {
        "customer_id": customer, "payment_method_id": "pm_card_visa", "reference": "order 1",
        "description": "Zwölf Eier 🥚", "metadata": {"cart": "7", "süß": "ja"},
    }  # fmt: skip
    charge = billing.charge.create(**CHARGE, **fields)
    assert charge.state == "pending"
    assert {name: charge[name] for name in (*CHARGE, *fields)} == {**CHARGE, **fields}
    assert billing.charge.get(id=charge.charge_id) == charge
    assert billing.charge.list(customer_id=customer, reference="order 1").data == [charge]
    settled(till, charge.charge_id)
    told = billing.charge.timeline(charge.charge_id)
    assert [entry.what for entry in told] == ["request", "attempt", "event", "now"]
    assert billing.charge.get(charge.charge_id).state == "succeeded"


def test_a_refund_is_created_read_and_listed(till: Till) -> None:
    charge = billing.charge.create(**CHARGE)
    settled(till, charge.charge_id)
    asked = {"charge_id": charge.charge_id, "amount": 500, "expected_refunded_amount": 0}
    refund = billing.refund.create(**asked, reason="zu groß", metadata={"a": "b"})
    assert (refund.amount, refund.currency, refund.reason) == (500, "USD", "zu groß")
    assert billing.refund.get(refund.refund_id) == refund
    assert billing.refund.list(charge_id=charge.charge_id, state="pending").data == [refund]
    settled(till, refund.refund_id)
    assert billing.refund.wait(refund.refund_id).state == "succeeded"
    rest = billing.refund.create(charge_id=charge.charge_id)
    assert rest.amount == 1499


@threads_only
def test_who_waits_hears_as_soon_as_it_is_final(caller: Caller, till: Till) -> None:
    charge = billing.charge.create(**CHARGE)
    mine = "SELECT id FROM charges WHERE producer = :p AND state = 'pending'"

    def settle_all(count: int) -> None:
        wait_for(lambda: len(till.query(mine, p=caller.producer)) == count, what="the charges")
        settled(till, *(row["id"] for row in till.query(mine, p=caller.producer)))

    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(billing.charge.wait, charge.charge_id)
        creating = threads.submit(billing.charge.create, **CHARGE, wait_s=30)
        settle_all(2)
        assert {waiting.result(patience_s()).state, creating.result(patience_s()).state} == {
            "succeeded"
        }


def test_who_waits_in_vain_gets_it_as_it_stands() -> None:
    charge = billing.charge.create(**CHARGE, wait_s=0.3)
    assert charge.state == "pending"
    assert billing.charge.wait(charge.charge_id, timeout_s=1.2) == charge


def test_many_are_answered_in_their_order_the_bad_among_the_good(caller: Caller) -> None:
    billing.charge.create(amount=7, currency="USD", idempotency_key="used", reference="paid")
    good = [
        {"amount": n, "currency": "USD", "idempotency_key": f"order {n}"} for n in range(1, 251)
    ]
    used = {**CHARGE, "idempotency_key": "used"}
    bad = {
        20: ({**CHARGE, "amount": 1.5}, "invalid_request", "amount"),
        21: ({**CHARGE, "amonut": 5}, "invalid_request", "amonut"),
        100: (used, "idempotency_key_reused", "idempotency_key"),
        101: ({**CHARGE, "reference": "paid"}, "reference_in_use", "reference"),
        200: ("not even a mapping", "invalid_request", None),
    }
    asked: list = [*good]
    for place, (wrong, _, _) in bad.items():
        asked.insert(place, wrong)
    progress: list[tuple[int, int]] = []
    answers = list(
        billing.charge.create_many(asked, batch=100, progress=lambda *sums: progress.append(sums))
    )
    assert progress == [(100, 2), (200, 4), (255, 5)]
    for place, (_, code, param) in bad.items():
        error = answers[place]
        assert isinstance(error, billing.BillingError)
        assert (error.code, error.param) == (code, param)
    made = [answer for answer in answers if isinstance(answer, billing.Charge)]
    assert [charge.idempotency_key for charge in made] == [one["idempotency_key"] for one in good]
    assert [charge.amount for charge in made] == [one["amount"] for one in good]
    again = list(billing.charge.create_many(good))
    assert again == made


def test_every_page_is_gone_through_and_everything_is_there_once(caller: Caller) -> None:
    customer = f"1-{caller.producer}"
    asked = [{**CHARGE, "customer_id": customer} for _ in range(25)]
    made = {answer.charge_id for answer in billing.charge.create_many(asked)}
    billing.charge.create(**CHARGE, customer_id=f"2-{caller.producer}")
    page = billing.charge.list(
        limit=10,
        customer_id=customer,
        state="pending",
        phase="queued",
        created_after=datetime.now(UTC) - HOUR,
        created_before=datetime.now(UTC) + HOUR,
    )
    assert (len(page.data), page.has_more) == (10, True)
    found = [charge.charge_id for charge in page.auto_paging_iter()]
    assert len(found) == 25
    assert set(found) == made
    charge_id = found[0]
    refunds = [{"charge_id": charge_id, "amount": 1} for _ in range(5)]
    back = {answer.refund_id for answer in billing.refund.create_many(refunds)}
    listed = billing.refund.list(charge_id=charge_id, limit=2).auto_paging_iter()
    assert {refund.refund_id for refund in listed} == back


def test_the_feed_goes_on_from_where_it_was_left(till: Till) -> None:
    end = billing.event.list()
    while end.has_more:
        end = billing.event.list(after=end.next_cursor)
    made = [billing.charge.create(**CHARGE).charge_id for _ in range(3)]
    settled(till, *made)
    events = list(billing.event.list(after=end.next_cursor, limit=2).auto_paging_iter())
    mine = [event for event in events if event.data.get("charge_id") in made]
    assert {event.type for event in mine} == {"charge.succeeded"}
    assert {event.data.charge_id for event in mine} == set(made)
    assert len({event.id for event in mine}) == 3
    positions = [event.position for event in events]
    assert positions == sorted(positions)


def test_an_endpoint_lives_through_all_its_verbs(door: Web, sink: Sink) -> None:
    asked = {"url": sink.url, "event_types": ["request.rejected"], "description": "für uns"}
    made = billing.endpoint.create(**asked)
    with Deliverer(
        door.engine, VAULT, together=asked_together, allow_private=LOOPBACK
    ) as deliverer:
        assert made.secret.startswith("whsec_")
        assert "secret" not in billing.endpoint.get(made.id)
        assert made.id in {one.id for one in billing.endpoint.list(limit=1).auto_paging_iter()}
        assert billing.endpoint.update(made.id, description="neu").description == "neu"
        rotated = billing.endpoint.rotate_secret(made.id, overlap_s=60)

        pinged = billing.endpoint.ping(made.id)
        deliverer.drain(made.id)
        (received,) = sink.wait_for(1)
        for secret in (made.secret, rotated.secret):
            event = billing.webhook.verify(received.body, received.headers, secret)
            assert (event.type, event.id) == ("ping", pinged.event_id)
        for again in ({"event_ids": [pinged.event_id]},
                      {"since": datetime.now(UTC) - HOUR, "only": "all"}):  # fmt: skip
            assert billing.endpoint.replay(made.id, **again).replayed == 1
            deliverer.drain(made.id)
        assert {one.headers["webhook-id"] for one in sink.wait_for(3)} == {pinged.event_id}

    assert billing.endpoint.update(made.id, state="disabled").state == "disabled"
    with pytest.raises(billing.EndpointDisabled):
        billing.endpoint.ping(made.id)
    billing.endpoint.delete(made.id)
    with pytest.raises(billing.NotFound):
        billing.endpoint.get(made.id)


def test_a_refusal_says_what_and_which_and_how_much_and_where_to_look(
    door: Web, till: Till
) -> None:
    charge = billing.charge.create(**CHARGE, reference="order-1")
    settled(till, charge.charge_id)
    with pytest.raises(billing.RefundExceedsCharge) as much:
        billing.refund.create(charge_id=charge.charge_id, amount=2000, idempotency_key="back")
    error = much.value
    assert (error.code, error.status, error.param) == ("refund_exceeds_charge", 409, "amount")
    assert (error.facts["available"], error.facts["requested"]) == (1999, 2000)
    assert error.idempotency_key == "back"
    assert error.request_id
    door.program.wait_until(error.request_id)  # stands in the service's log

    with pytest.raises(billing.ReferenceInUse) as used:
        billing.charge.create(amount=1, currency="USD", reference="order-1")
    assert used.value.param == "reference"
    for nothing in ("ch_...", "ch_" + "a" * 32, "größe", "?"):
        with pytest.raises(billing.NotFound):
            billing.charge.get(nothing)
    with pytest.raises(billing.InvalidRequest) as wrong:
        billing.endpoint.create(url="nonsense")
    assert wrong.value.param == "url"
    with pytest.raises(billing.InvalidRequest, match="cursor"):
        billing.charge.list(cursor="nonsense")


def test_what_is_too_large_is_told_and_what_just_fits_is_taken() -> None:
    names = [f"k{number:02}" for number in range(50)]
    billing.charge.create(**CHARGE, metadata=dict.fromkeys(names, "ü" * 500))
    with pytest.raises(billing.TooLarge):
        billing.charge.create(**CHARGE, metadata=dict.fromkeys(names, "💶" * 500))


def test_a_wrong_a_revoked_and_a_narrow_key_are_told_apart(door: Web, caller: Caller) -> None:
    charge = billing.charge.create(**CHARGE)
    with door.caller(caller.producer, scopes=["read"]) as reader, sdk_of(reader):
        assert billing.charge.get(charge.charge_id) == charge
        with pytest.raises(billing.InsufficientScope):
            billing.charge.create(**CHARGE)
    with Database(door.engine).transaction() as transaction:
        keys.revoke(transaction, caller.key.rsplit("_", 1)[0])
    with pytest.raises(billing.Unauthenticated) as revoked:
        billing.charge.create(**CHARGE, idempotency_key="order-2")
    assert revoked.value.idempotency_key == "order-2"
    billing.configure(url=door.url, api_key="nonsense")
    with pytest.raises(billing.Unauthenticated):
        billing.charge.get(charge.charge_id)


def test_a_wrong_path_is_not_taken_for_a_charge_that_is_not_there(
    door: Web, caller: Caller
) -> None:
    billing.configure(url=f"{door.url}/elsewhere", api_key=caller.key)
    with pytest.raises(billing.Unavailable, match="is the url right") as refused:
        billing.charge.get("ch_" + "a" * 32)
    assert (refused.value.code, refused.value.status) == ("no_such_path", 404)
