"""Charges and refunds over HTTP: accepted once per key, whatever is sent how often."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.billing.contract.ids import id_from_key
from infra.billing.contract.objects.charge_objects import Charge
from infra.billing.contract.objects.object_fields import fields_of
from payments.processors.outcomes import Declined, Succeeded
from tests.support.every import every
from tests.support.factories import Till
from tests.support.web import CHARGE, Caller, Web, insist, made_once


def test_a_charge_is_accepted_and_can_be_read(caller: Caller) -> None:
    made = caller.charge("order-1", currency="usd", customer_id="cus_1", metadata={"cart": "7"})
    charge = made.json()
    assert made.status_code == 202
    assert list(charge) == list(fields_of(Charge))
    assert charge["charge_id"] == id_from_key("charge", producer=caller.producer, key="order-1")
    assert (charge["state"], charge["phase"], charge["currency"]) == ("pending", "queued", "USD")
    assert charge["idempotency_key"] == "order-1"
    assert made.headers["location"] == f"/v1/billing/charges/{charge['charge_id']}"
    assert "idempotent-replayed" not in made.headers
    assert made.headers["cache-control"] == "no-store"
    read = caller.get(f"/charges/{charge['charge_id']}")
    assert (read.status_code, read.json()) == (200, charge)


def test_an_address_for_receipts_goes_to_the_processor_and_is_shown_nowhere(
    caller: Caller, till: Till
) -> None:
    said = {"statement_descriptor": "TICKETS 1001", "receipt_email": "ada@example.com"}
    asked = {"url": "https://example.org/hooks", "event_types": ["charge.pending"]}
    assert caller.post("/webhook-endpoints", json=asked).status_code == 201
    made = caller.charge("order-1", **said)
    id_ = made.json()["charge_id"]
    assert made.json()["statement_descriptor"] == "TICKETS 1001"
    assert caller.charge("order-1", **said).status_code == 200
    order = till.claim(id_).order
    assert (order.statement_descriptor, order.receipt_email) == tuple(said.values())
    (event,) = till.query("SELECT body FROM events WHERE object_id = :id", id=id_)
    other = caller.charge("order-1", **said | {"receipt_email": "ben@example.com"})
    told = (made, caller.get(f"/charges/{id_}"), caller.get(f"/charges/{id_}/timeline"), other)
    assert other.status_code == 422
    for text in (*(one.text for one in told), event["body"]):
        assert "example.com" not in text


def test_a_repeat_is_the_same_charge_and_says_so(caller: Caller) -> None:
    first, second = (caller.charge("order-1") for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    assert second.json() == first.json()


def test_a_hundred_at_once_are_one_charge_and_ninety_nine_replays(
    door: Web, caller: Caller, till: Till
) -> None:
    with ThreadPoolExecutor(100) as threads:
        asked = [threads.submit(insist, lambda: caller.charge("order-1")) for _ in range(100)]
        answers = [one.result() for one in asked]
    assert made_once(answers)
    for answer in answers:
        replayed = "true" if answer.status_code == 200 else None
        assert answer.headers.get("idempotent-replayed") == replayed
    assert len({a.text for a in answers}) == 1
    rows = till.query("SELECT id FROM charges WHERE producer = :p", p=caller.producer)
    assert len(rows) == 1


def test_the_same_key_for_another_request_is_refused_and_the_first_stays(caller: Caller) -> None:
    first = caller.charge("order-1")
    refused = caller.charge("order-1", amount=2000)
    assert refused.status_code == 422
    assert refused.json()["code"] == "idempotency_key_reused"
    assert refused.json()["charge_id"] == first.json()["charge_id"]
    assert caller.get(f"/charges/{first.json()['charge_id']}").json() == first.json()


def test_two_keys_for_one_order_are_one_charge(caller: Caller) -> None:
    reference = f"order-{uuid.uuid4().hex}"
    first = caller.charge(reference=reference)
    assert first.status_code == 202
    refused = caller.charge(reference=reference)
    assert (refused.status_code, refused.json()["code"]) == (409, "reference_in_use")
    assert refused.json()["charge_id"] == first.json()["charge_id"]


def test_keys_of_different_producers_never_meet(door: Web, caller: Caller) -> None:
    with door.caller() as other:
        ids = {one.charge("order-1").json()["charge_id"] for one in (caller, other)}
    assert len(ids) == 2


def test_the_key_may_stand_in_the_body_or_in_both(caller: Caller) -> None:
    in_header = caller.charge("order-1")
    in_body = caller.post("/charges", json={**CHARGE, "idempotency_key": "order-1"})
    in_both = caller.charge("order-1", idempotency_key="order-1")
    quoted = caller.charge('"order-1"')  # as the IETF's draft has it
    for repeat in (in_body, in_both, quoted):
        assert repeat.headers["idempotent-replayed"] == "true"
        assert repeat.json() == in_header.json()


@every(
    "headers, body",
    [
        ([("idempotency-key", "a")], {"idempotency_key": "b"}),
        ([("idempotency-key", "a"), ("idempotency-key", "b")], {}),
        ([("idempotency-key", b"\xc3\xa9")], {}),
        ([("idempotency-key", "")], {}),
        ([("idempotency-key", "k" * 256)], {}),
        ([], {"idempotency_key": 5}),
        ([], {"idempotency_key": "a\nb"}),
    ],
    ids=["differ", "two", "not-ascii", "empty", "long", "number", "control"],
)
def test_a_key_that_is_unclear_is_refused(caller: Caller, headers: list, body: dict) -> None:
    refused = caller.post("/charges", json={**CHARGE, **body}, headers=headers)
    assert refused.status_code == 400
    assert refused.json()["param"] == "idempotency_key"


def test_without_a_key_one_is_made_and_told(caller: Caller) -> None:
    first, second = (caller.post("/charges", json=CHARGE) for _ in range(2))
    assert first.status_code == second.status_code == 202
    assert first.json()["idempotency_key"] != second.json()["idempotency_key"]
    again = caller.charge(first.json()["idempotency_key"])
    assert again.headers["idempotent-replayed"] == "true"


@every(
    "changes, param, says",
    [
        ({"amount": 19.99}, "amount", "for USD 19.99 send amount=1999"),
        ({"amount": 5.0}, "amount", "send amount=5 if you mean USD 0.05, or amount=500 if"),
        ({"amount": "1999"}, "amount", "a whole number of minor units (an integer)"),
        ({"amount": 0}, "amount", "at least 1"),
        ({"amount": 10**400}, "amount", "at most 999999999999999"),
        ({"amount": None}, "amount", "amount is required"),
        ({"currency": "QQQ"}, "currency", "not an ISO 4217 currency"),
        (
            {"payment_method_id": "4242 4242 4242 4242"},
            "payment_method_id",
            "must hold no card data",
        ),
        ({"producer": "shop"}, "producer", "the name of the API key"),
        ({"amonut": 5}, "amonut", "the fields are"),
        ({"price_id": "price_1"}, "quantity", "how many units of it"),
        ({"price_id": "price_1", "quantity": 1}, "currency", "or amount and currency"),
        ({"quantity": 1}, "quantity", "send price_id, too"),
        ({"metadata": {"a": 1}}, "metadata", "text values"),
    ],
)
def test_what_is_refused_names_the_field_and_the_fix(
    caller: Caller, changes: dict, param: str, says: str
) -> None:
    refused = caller.charge(**changes)
    problem = refused.json()
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["param"]) == ("invalid_request", param)
    assert says in problem["detail"]
    # The request's id is random, and may hold any digits.
    assert "4242" not in refused.text.replace(problem["request_id"], "")


@every(
    "body",
    [
        b"", b"{", b"[]", b"null", b"5", b'"x"', b"amount=1999", b"\xff\xfe{}", b"\xef\xbb\xbf{}",
        b'{"amount":1,"amount":1}', b'{"amount":NaN}', b'{"amount":Infinity}',
        b"[" * 60_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"amount":' + b"9" * 6_000 + b"}", b'{"description":"\\ud800"}',
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_a_body_that_is_no_request_is_refused_with_words(caller: Caller, body: bytes) -> None:
    refused = caller.post("/charges", content=body)
    assert refused.status_code == 400
    assert refused.json()["code"] == "invalid_request"
    assert refused.json()["detail"]


def test_null_is_absent(caller: Caller) -> None:
    caller.charge("order-1")
    nulls = dict.fromkeys(("customer_id", "reference", "description", "metadata"))
    assert caller.charge("order-1", **nulls).headers["idempotent-replayed"] == "true"


def test_a_body_of_64_kib_is_the_largest(caller: Caller) -> None:
    def chunks() -> object:
        for _ in range(20):
            yield b" " * 10_000

    fits = b'{"amount": 1999, "currency": "USD"}'
    fits += b" " * (64 * 1024 - len(fits))
    assert caller.post("/charges", content=fits).status_code == 202
    for content in (fits + b" ", chunks()):
        refused = caller.post("/charges", content=content)
        assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


@every("id_", ["x", "ch_", "ch_" + "a" * 32, "ch_%00" + "a" * 31, "re_" + "a" * 32, "%F0%9F%92%B8"])
def test_what_is_no_charge_is_not_found(caller: Caller, id_: str) -> None:
    for path in (f"/charges/{id_}", f"/charges/{id_}/timeline"):
        refused = caller.get(path)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


def test_a_refund_reserves_and_never_more_than_there_is(caller: Caller, till: Till) -> None:
    charge_id = caller.charge().json()["charge_id"]
    till.settle(till.claim(charge_id), Succeeded("sbx_1"))
    made = caller.refund(charge_id, "refund-1", amount=500)
    refund = made.json()
    assert made.status_code == 202
    assert made.headers["location"] == f"/v1/billing/refunds/{refund['refund_id']}"
    assert (refund["amount"], refund["currency"], refund["state"]) == (500, "USD", "pending")
    assert caller.get(f"/refunds/{refund['refund_id']}").json() == refund
    assert caller.refund(charge_id, "refund-1", amount=500).headers["idempotent-replayed"] == "true"
    refused = caller.refund(charge_id, amount=1500)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "refund_exceeds_charge")
    assert (problem["available"], problem["requested"]) == (1499, 1500)


def test_a_failed_charge_is_not_refundable(caller: Caller, till: Till) -> None:
    charge_id = caller.charge().json()["charge_id"]
    till.settle(till.claim(charge_id), Declined("card_declined", "card_declined", "declined"))
    refused = caller.refund(charge_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "charge_not_refundable")


def test_a_timeline_tells_everything_in_order(caller: Caller, till: Till) -> None:
    charge_id = caller.charge().json()["charge_id"]
    till.settle(till.claim(charge_id), Succeeded("sbx_1"))
    told = caller.get(f"/charges/{charge_id}/timeline").json()["data"]
    assert [entry["what"] for entry in told] == ["request", "attempt", "event", "now"]
    assert {entry["object_id"] for entry in told} == {charge_id}
    refund_id = caller.refund(charge_id).json()["refund_id"]
    told = caller.get(f"/refunds/{refund_id}/timeline").json()["data"]
    assert told[0]["what"] == "request"


@pytest.mark.parametrize("noun", ["charges", "refunds"])
def test_the_id_of_an_accepted_request_is_kept_with_what_it_made(caller: Caller, noun: str) -> None:
    charge = caller.charge("order-1")
    refund = {"charge_id": charge.json()["charge_id"]}
    body = {"idempotency_key": "k-1", **(CHARGE if noun == "charges" else refund)}
    made = caller.post(f"/{noun}", json=body, headers={"x-request-id": "checkout-77"})
    repeat = caller.post(f"/{noun}", json=body, headers={"x-request-id": "checkout-78"})
    assert (made.status_code, repeat.status_code) == (202, 200)
    path = made.headers["location"].removeprefix("/v1/billing")
    asked = caller.get(f"{path}/timeline").json()["data"][0]
    # The one that made it, and not the repeat's.
    assert (asked["what"], asked["request_id"]) == ("request", "checkout-77")
    assert asked["text"].endswith(", request checkout-77")


def test_what_is_on_its_way_back_is_told_and_is_what_is_expected(
    caller: Caller, till: Till
) -> None:
    charge_id = caller.charge(customer_id=caller.producer).json()["charge_id"]
    first = caller.refund(charge_id, amount=500)
    charge = caller.get(f"/charges/{charge_id}").json()
    assert (charge["refunded_amount"], charge["refund_pending_amount"]) == (0, 500)
    refused = caller.refund(charge_id, amount=500, expected_refunded_amount=0).json()
    assert refused["code"] == "charge_not_refundable"
    assert (refused["refunded_amount"], refused["refund_pending_amount"]) == (0, 500)
    assert "refund_pending_amount 500" in refused["detail"]
    assert caller.refund(charge_id, amount=9, expected_refunded_amount=500).status_code == 202
    till.settle(till.claim(charge_id), Succeeded("sbx_1"))
    till.settle(till.claim(first.json()["refund_id"]), Succeeded("sbx_2"))
    (listed,) = caller.get("/charges", params={"customer_id": caller.producer}).json()["data"]
    assert (listed["refunded_amount"], listed["refund_pending_amount"]) == (500, 9)
    (*_, told) = till.query(
        "SELECT body FROM events WHERE object_id = :id ORDER BY sequence", id=charge_id
    )
    assert json.loads(told["body"])["data"]["refund_pending_amount"] == 509


def test_a_refund_of_a_charge_that_is_not_there_is_not_found_unless_it_waits(
    caller: Caller, till: Till
) -> None:
    nobody = id_from_key("charge", producer=caller.producer, key="later")
    refused = caller.refund(nobody, "refund-1")
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["param"]) == (
        404, "not_found", "charge_id",
    )  # fmt: skip
    assert "if_missing=wait" in problem["detail"]
    assert till.query("SELECT 1 FROM refunds WHERE producer = :p", p=caller.producer) == []
    # The key is still free.
    waits = caller.refund(nobody, "refund-1", if_missing="wait")
    assert waits.status_code == 202
    caller.charge("later")
    till.settle(till.claim(nobody), Succeeded("sbx_1"))
    assert till.claim(waits.json()["refund_id"]).order.amount == CHARGE["amount"]


@every("id_", ["ch_x", "ch_…", "CH_{}", "ch_{} ", "\u00a0ch_{}", "ch_{}a", "ch_"])
def test_what_is_not_written_as_an_id_is_refused_as_one(caller: Caller, id_: str) -> None:
    id_ = id_.format("a" * 32)
    refused = caller.refund(id_)
    problem = refused.json()
    assert (refused.status_code, problem["param"]) == (400, "charge_id")
    assert problem["detail"] == "charge_id must be the id of a charge (ch_…)"
    listed = caller.get("/refunds", params={"charge_id": id_})
    assert (listed.status_code, listed.json()["detail"]) == (400, problem["detail"])


@every("path", [
    "/charges/{}", "/refunds/{}", "/charges/{}/timeline", "/refunds/{}/timeline", "/products/{}",
    "/webhook-endpoints/{}",
])  # fmt: skip
@every("id_", ["ch_x", "re_…", "we_%00", "CH_" + "A" * 32, "%20"])
def test_in_a_path_it_is_the_id_of_nothing(caller: Caller, path: str, id_: str) -> None:
    answer = caller.get(path.format(id_))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@every("noun", ["charges", "refunds", "products", "prices", "webhook-endpoints"])
def test_null_makes_no_field_of_an_unknown_name(caller: Caller, noun: str) -> None:
    body = {"amount": 5, "currency": "USD"} if noun == "charges" else {}
    refused = caller.post(f"/{noun}", json={**body, "amout": None})
    assert (refused.status_code, refused.json()["param"]) == (400, "amout")


def test_two_keys_in_headers_are_told_as_two_headers(caller: Caller) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    refused = caller.post("/charges", json=CHARGE, headers=headers)
    problem = refused.json()
    assert (refused.status_code, problem["param"]) == (400, "idempotency_key")
    assert "body" not in problem["detail"]
    assert "more than once" in problem["detail"]


@pytest.mark.parametrize("noun", ["charges", "refunds"])
def test_the_trace_of_a_request_is_kept_with_what_it_made(caller: Caller, noun: str) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    charge = caller.charge("order-1")
    refund = {"charge_id": charge.json()["charge_id"]}
    told = []
    for number, header in enumerate((f"00-{trace}-00f067aa0ba902b7-01", "nonsense 4242")):
        body = {"idempotency_key": f"k-{number}", **(CHARGE if noun == "charges" else refund)}
        body |= {"reference": f"r-{number}"} if noun == "charges" else {"amount": 1}
        made = caller.post(f"/{noun}", json=body, headers={"traceparent": header})
        assert made.status_code == 202
        path = made.headers["location"].removeprefix("/v1/billing")
        told.append(caller.get(f"{path}/timeline").json()["data"][0])
    assert told[0]["traceparent"] == f"00-{trace}-00f067aa0ba902b7-01"
    assert told[0]["text"].endswith(f", trace {trace}")
    # What is no trace stops no payment, and is not repeated.
    assert "traceparent" not in told[1]
    assert "4242" not in told[1]["text"]
