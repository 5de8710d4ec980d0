"""The SDK over HTTP, against a small real server: what every verb asks, and what it answers."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from infra import billing
from infra.billing import client
from tests.support.both_clients import threads_only
from tests.support.every import every
from tests.support.scripted import (
    PENDING,
    Clock,
    Says,
    problem,
    scripted_service,
)
from tests.support.waiting import patience_s

CHARGE_ID = "ch_" + "a" * 32
pytestmark = pytest.mark.usefixtures("unconfigured", "both")

KEY = "bk_live_telltale"
ASKED = {"amount": 1999, "currency": "USD", "idempotency_key": "order-1042"}


@pytest.fixture
def service():
    with scripted_service() as running:
        billing.configure(url=running.url, api_key=KEY, timeout_s=patience_s())
        yield running


def test_a_charge_is_a_post_with_its_fields_and_its_key_in_the_header(service):
    charge = billing.charge.create(**ASKED, customer_id="cus_123", metadata={"cart": "7"})
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("POST", "/v1/billing/charges")
    assert asked.body == {
        "amount": 1999,
        "currency": "USD",
        "customer_id": "cus_123",
        "metadata": {"cart": "7"},
    }
    assert asked.headers["idempotency-key"] == "order-1042"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["user-agent"].startswith("infra.billing/0.1.0 python/3.")
    assert asked.headers["content-type"] == "application/json"
    assert (charge.charge_id, charge["state"]) == ("ch_1", "pending")


def test_a_field_that_is_newer_than_the_sdk_is_sent_as_it_is(service):
    billing.charge.create(**ASKED, fee=3)
    service.will(Says(202, {"refund_id": "re_1", "object": "refund", "state": "pending"}))
    billing.refund.create(charge_id=CHARGE_ID, fee=4)
    assert [asked.body["fee"] for asked in service.asked] == [3, 4]


def test_to_cancel_is_a_post_below_the_charge_and_is_repeated_until_it_is_answered(service):
    canceled = {**PENDING, "state": "failed", "failure_code": "canceled"}
    service.will(problem(503, "database_unavailable"), Says(200, canceled))
    id_ = "ch_" + "a" * 32
    charge = billing.charge.cancel(id_, reason="the customer left")
    assert (charge.state, charge.failure_code) == ("failed", "canceled")
    assert [asked.path for asked in service.asked] == [f"/v1/billing/charges/{id_}/cancel"] * 2
    assert service.asked[0].body == {"reason": "the customer left"}
    service.will(problem(409, "charge_not_cancelable", detail="refund it instead"))
    with pytest.raises(billing.ChargeNotCancelable, match="refund it instead"):
        billing.charge.cancel(id_)


def test_what_a_customer_has_to_do_is_read_by_attribute(service):
    action = {"type": "redirect_to_url", "url": "https://pay.example/1", "expires_at": None}
    service.will(Says(200, {**PENDING, "next_action": action}))
    charge = billing.charge.get("ch_1")
    assert (charge.next_action.type, charge.next_action.url) == (action["type"], action["url"])


def test_when_to_take_the_money_is_sent_in_utc(service):
    at = datetime(2026, 12, 1, 10, tzinfo=timezone(timedelta(hours=2)))
    billing.charge.create(**ASKED, scheduled_at=at, expires_in_s=60)
    body = service.asked[0].body
    assert (body["scheduled_at"], body["expires_in_s"]) == ("2026-12-01T08:00:00Z", 60)


def test_letters_of_any_language_cost_no_more_than_their_bytes(service):
    billing.charge.create(**ASKED, description="größe" * 100)
    assert service.asked[0].body["description"] == "größe" * 100
    assert int(service.asked[0].headers["content-length"]) < 800


@pytest.mark.parametrize("key", ["Bestellung 7", "größe", "订单-1", ' "7"', '"7"', "a " * 100])
def test_a_key_that_a_header_would_change_travels_in_the_body(service, key):
    billing.charge.create(amount=1, currency="USD", idempotency_key=key)
    assert service.keys == [None]
    assert service.asked[0].body["idempotency_key"] == key


@every("path", ["", "/", "/v1/billing", "/v1/billing/"])
@every("prefix", ["", "/pay", "/a/b"])
def test_the_url_may_name_as_much_of_the_path_as_it_likes(service, prefix, path):
    billing.configure(url=service.url + prefix + path, api_key=KEY)
    billing.charge.get(id="ch_1")
    assert service.asked[-1].path == f"{prefix}/v1/billing/charges/ch_1"


@every(
    "status, code, kind",
    [
        (400, "invalid_request", billing.InvalidRequest),
        (401, "unauthenticated", billing.Unauthenticated),
        (403, "insufficient_scope", billing.InsufficientScope),
        (404, "not_found", billing.NotFound),
        (422, "idempotency_key_reused", billing.KeyReused),
        (409, "idempotency_key_reused", billing.KeyReused),  # a service that is older
        (409, "unexpected_amount", billing.UnexpectedAmount),
        (409, "reference_in_use", billing.ReferenceInUse),
        (409, "refund_exceeds_charge", billing.RefundExceedsCharge),
        (409, "charge_not_refundable", billing.ChargeNotRefundable),
        (409, "nothing_to_restock", billing.NothingToRestock),
        (409, "price_inactive", billing.PriceInactive),
        (409, "price_in_use", billing.PriceInUse),
        (409, "price_locked", billing.PriceLocked),
        (409, "product_inactive", billing.ProductInactive),
        (409, "product_in_use", billing.ProductInUse),
        (409, "lookup_key_in_use", billing.LookupKeyInUse),
        (409, "insufficient_inventory", billing.InsufficientInventory),
        (409, "inventory_unlimited", billing.InventoryUnlimited),
        (409, "endpoint_disabled", billing.EndpointDisabled),
        (409, "move_not_allowed", billing.MoveNotAllowed),
        (409, "of_tomorrow", billing.Conflict),
        (418, "of_tomorrow", billing.InvalidRequest),
        (413, "body_too_large", billing.TooLarge),
    ],
)
def test_a_refusal_is_its_class_with_all_that_was_said_and_no_second_try(
    service, status, code, kind
):
    service.asked.clear()
    service.will(
        problem(status, code, detail="because", param="amount", request_id="r-7", available=3)
    )
    with pytest.raises(kind) as refused:
        billing.charge.create(**ASKED)
    error = refused.value
    assert type(error) is kind
    assert (str(error), error.code, error.param) == ("because", code, "amount")
    assert (error.status, error.request_id, error.facts) == (status, "r-7", {"available": 3})
    assert error.idempotency_key == "order-1042"
    assert len(service.asked) == 1


def test_the_id_of_a_request_is_that_of_the_answer_if_it_has_one(service):
    service.will(Says(400, {"code": "invalid_request"}, {"X-Request-Id": "theirs"}))
    with pytest.raises(billing.InvalidRequest) as refused:
        billing.charge.get(id="ch_1")
    assert refused.value.request_id == "theirs"
    service.will(Says(400, {"code": "invalid_request"}))
    with pytest.raises(billing.InvalidRequest) as refused:
        billing.charge.get(id="ch_1")
    assert refused.value.request_id == service.asked[-1].headers["x-request-id"]


def test_a_repeat_answers_with_the_charge_as_it_stands(service):
    service.will(Says(200, {**PENDING, "state": "succeeded"}, {"Idempotent-Replayed": "true"}))
    assert billing.charge.create(**ASKED).state == "succeeded"


def test_a_refund_is_a_post_too(service):
    service.will(Says(202, {"refund_id": "re_1", "object": "refund", "state": "pending"}))
    refund = billing.refund.create(charge_id=CHARGE_ID, amount=500, idempotency_key="r-1")
    (asked,) = service.asked
    assert (asked.path, asked.body) == (
        "/v1/billing/refunds",
        {"charge_id": CHARGE_ID, "amount": 500},
    )
    assert (refund.refund_id, type(refund)) == ("re_1", billing.Refund)


def test_a_charge_by_price_says_what_and_how_many_and_no_amount(service):
    line = {"type": "unit", "quantity": 5, "unit_amount": "700", "amount": 3500, "reason": "five"}
    service.will(Says(202, {**PENDING, "price_id": "price_1", "quantity": 5, "lines": [line]}))
    charge = billing.charge.create(price_id="standard", quantity=5, idempotency_key="order-7")
    assert service.asked[0].body == {"price_id": "standard", "quantity": 5}
    assert (charge.price_id, charge.quantity, charge["lines"]) == ("price_1", 5, [line])
    assert [(type(one), one.reason) for one in charge.lines] == [(billing.Line, "five")]


def test_a_refund_says_that_goods_come_back_only_if_they_do(service):
    refund = {"refund_id": "re_1", "object": "refund", "restock": True, "restock_quantity": 2}
    service.will(Says(202, refund))
    billing.refund.create(charge_id=CHARGE_ID, restock=False)
    assert service.asked[0].body == {"charge_id": CHARGE_ID, "restock": False}
    told = billing.refund.create(charge_id=CHARGE_ID, amount=500, restock=True, restock_quantity=2)
    body = {"charge_id": CHARGE_ID, "amount": 500, "restock": True, "restock_quantity": 2}
    assert service.asked[1].body == body
    assert (told.restock, told.restock_quantity) == (True, 2)


@pytest.fixture
def clock(service, monkeypatch):
    """The SDK's own, which only its pauses move."""
    clock = Clock()
    monkeypatch.setattr(client.transport().calls, "clock", clock)
    monkeypatch.setattr(client.transport(), "_sleep", clock.sleep)
    return clock


@threads_only
def test_waiting_asks_the_service_to_wait(service, clock):
    service.will(Says(200, PENDING), Says(200, {**PENDING, "state": "succeeded"}))
    assert billing.charge.wait(id="ch_1", timeout_s=3.0).state == "succeeded"
    assert [one.headers["prefer"] for one in service.asked] == ["wait=3", "wait=2"]


@threads_only
def test_a_charge_may_be_waited_for_in_the_same_call(service, clock):
    service.will(Says(200, {**PENDING, "state": "failed"}))
    assert billing.charge.create(**ASKED, wait_s=10).state == "failed"
    assert service.asked[0].headers["prefer"] == "wait=10"


def test_a_list_asks_for_what_is_given_and_goes_through_all_pages(service):
    first = {"data": [{"charge_id": "ch_1"}, {"charge_id": "ch_2"}], "next_cursor": "c2"}
    last = {"data": [{"charge_id": "ch_3"}], "has_more": False, "next_cursor": None}
    service.will(Says(200, {**first, "has_more": True}), Says(200, last))
    page = billing.charge.list(
        state="succeeded",
        customer_id="cus_1",
        price_id="tea",
        created_after=datetime(2026, 11, 26, 12, tzinfo=timezone(timedelta(hours=1))),
        created_before="2026-11-27T00:00:00Z",
        limit=2,
    )
    assert page.has_more
    assert len(service.asked) == 1
    assert [charge.charge_id for charge in page.auto_paging_iter()] == ["ch_1", "ch_2", "ch_3"]
    query = {
        "state": ["succeeded"],
        "customer_id": ["cus_1"],
        "price_id": ["tea"],
        "created_after": ["2026-11-26T11:00:00Z"],
        "created_before": ["2026-11-27T00:00:00Z"],
        "limit": ["2"],
    }
    assert [one.query for one in service.asked] == [query, {**query, "cursor": ["c2"]}]


def test_the_feed_goes_on_behind_the_last_position(service):
    event = {
        "id": "evt_1",
        "position": 8,
        "type": "charge.succeeded",
        "timestamp": "2026-11-26T00:00:00Z",
        "sequence": 2,
        "data": {**PENDING, "state": "succeeded"},
    }
    end = {"data": [], "has_more": False, "next_cursor": "8"}
    service.will(Says(200, {"data": [event], "has_more": True, "next_cursor": "8"}), Says(200, end))
    page = billing.event.list(after=7, limit=1)
    (told,) = page.auto_paging_iter()
    assert (told.id, told.position, told.data.state) == ("evt_1", 8, "succeeded")
    assert type(told.data) is billing.Charge
    assert [one.query["after"] for one in service.asked] == [["7"], ["8"]]
    billing.event.list(after=page.next_cursor)
    assert service.asked[-1].query == {"after": ["8"]}


@pytest.mark.parametrize(("noun", "id_"), [("charge", "ch_1"), ("refund", "re_1")])
def test_a_timeline_is_told_in_order(service, noun, id_):
    service.will(Says(200, {"data": [{"what": "request", "text": "a"}, {"what": "attempt"}]}))
    entries = getattr(billing, noun).timeline(id_)
    assert [entry.what for entry in entries] == ["request", "attempt"]
    assert service.asked[0].path == f"/v1/billing/{noun}s/{id_}/timeline"


MOMENT = datetime(2026, 11, 26, tzinfo=UTC)


@every(
    "verb, method, path, body",
    [
        (
            lambda: billing.endpoint.create(url="https://s.example", event_types=["charge.failed"]),
            "POST",
            "",
            {"url": "https://s.example", "event_types": ["charge.failed"]},
        ),
        (lambda: billing.endpoint.get("we_1"), "GET", "/we_1", None),
        (
            lambda: billing.endpoint.update("we_1", state="disabled", description=""),
            "PATCH",
            "/we_1",
            {"state": "disabled", "description": ""},
        ),
        (lambda: billing.endpoint.rotate_secret("we_1"), "POST", "/we_1/rotate-secret", {}),
        (
            lambda: billing.endpoint.rotate_secret("we_1", overlap_s=60),
            "POST",
            "/we_1/rotate-secret",
            {"overlap_s": 60},
        ),
        (lambda: billing.endpoint.ping("we_1"), "POST", "/we_1/ping", {}),
        (
            lambda: billing.endpoint.replay("we_1", since=MOMENT, only="undelivered", after=7),
            "POST",
            "/we_1/replay",
            {"since": "2026-11-26T00:00:00Z", "only": "undelivered", "after": 7},
        ),
        (
            lambda: billing.endpoint.replay("we_1", event_ids=["evt_1"]),
            "POST",
            "/we_1/replay",
            {"event_ids": ["evt_1"]},
        ),
    ],
)
def test_a_verb_of_endpoints_is_its_route(service, verb, method, path, body):
    service.asked.clear()
    service.will(Says(200, {"id": "we_1", "secret": "whsec_telltale", "replayed": 3}))
    answer = verb()
    (asked,) = service.asked
    assert (asked.method, asked.path) == (method, f"/v1/billing/webhook-endpoints{path}")
    if method == "POST":
        assert asked.body.pop("idempotency_key")  # made for this call, and sent with each try
    assert asked.body == body
    assert answer.replayed == 3
    assert "telltale" not in repr(answer)


def test_endpoints_are_listed_and_deleted(service):
    service.will(
        Says(200, {"data": [{"id": "we_1"}], "has_more": False, "next_cursor": None}),
        Says(204, raw=b""),
    )
    (endpoint,) = billing.endpoint.list().auto_paging_iter()
    assert type(endpoint) is billing.Endpoint
    assert billing.endpoint.delete(endpoint.id) is None
    assert service.asked[1].method == "DELETE"


def test_an_id_never_leads_to_another_route(service):
    billing.charge.get(id="../refunds/re_1?x=%2F#y")
    assert service.asked[0].path == "/v1/billing/charges/..%2Frefunds%2Fre_1%3Fx%3D%252F%23y"
    for id_ in ("..", ".", ""):
        with pytest.raises(billing.InvalidRequest):
            billing.charge.get(id=id_)
