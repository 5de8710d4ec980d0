"""Stripe's adapter: what it asks, and what each answer and each fault comes to."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.billing.contract.failures import message_for
from payments.processors.advice import ASK, STOP, TOMORROW
from payments.processors.outcomes import (
    Authorized,
    Canceled,
    Declined,
    NextAction,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import Order
from payments.processors.stripe import Stripe
from payments.processors.stripe.declines import advice_on
from tests.support.every import every
from tests.support.sandbox import a_charge, a_refund
from tests.support.scripted import Drips, Hangs, HangsUp, Line, Resets, Says, Service
from tests.support.stripe import (
    API_KEY,
    INTENT,
    REFUND,
    a_list,
    a_stripe_refund,
    an_error,
    an_intent,
    by_path,
    stripe_at,
    stripe_by_script,
)
from tests.support.waiting import slowness

DEADLINE_S = 5.0
CHARGE = a_charge(description="Order 66", metadata={"email": "ada@example.com"})
REFUND_OF = a_refund(CHARGE, amount=400, charge_reference=INTENT)
A_WEEK = datetime(1970, 1, 8, tzinfo=UTC)
AUTHENTICATE = {
    "type": "redirect_to_url",
    "redirect_to_url": {"url": "https://hooks.stripe.com/3ds", "return_url": None},
}
FAILED = {"code": "card_declined", "decline_code": "insufficient_funds"}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n"


@pytest.fixture
def account() -> Iterator[tuple[Stripe, Service]]:
    with stripe_by_script() as made:
        yield made


def send(stripe: Stripe, order: Order, *, deadline_s: float = DEADLINE_S) -> object:
    verb = stripe.charge if order.kind == "charge" else stripe.refund
    return verb(order, deadline_s=deadline_s)


def declined(code: str, word: str, reference: str | None = None) -> Declined:
    return Declined(code, word, message_for(code), reference, advice_on(word, None))


# --- what is asked ----------------------------------------------------------------------------


def test_a_charge_is_one_payment_intent_confirmed_off_session_under_our_key(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    service.will(Says(200, an_intent(CHARGE)))
    assert send(stripe, CHARGE) == Succeeded(INTENT)
    [asked] = service.asked
    assert (asked.method, asked.path) == ("POST", "/v1/payment_intents")
    assert asked.headers["idempotency-key"] == CHARGE.key
    assert asked.headers["stripe-version"] == "2026-10-28.endive"
    assert asked.headers["authorization"] == f"Bearer {API_KEY}"
    # All of it: none of the caller's metadata goes there.
    assert asked.body == {
        "amount": "1000",
        "currency": "usd",
        "confirm": "true",
        "off_session": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "customer": "cus_ada",
        "payment_method": "pm_card_visa",
        "description": "Order 66",
        "metadata[billing_charge_id]": CHARGE.id,
    }


def test_what_the_customer_reads_goes_along(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    service.will(Says(200, an_intent(CHARGE)))
    said = {"statement_descriptor": "TICKETS 1001", "receipt_email": "ada@example.com"}
    assert send(stripe, replace(CHARGE, **said)) == Succeeded(INTENT)  # type: ignore[arg-type]
    body = service.asked[0].body
    assert body["statement_descriptor_suffix"] == "TICKETS 1001"
    assert body["receipt_email"] == "ada@example.com"
    assert "statement_descriptor" not in body  # an error for cards


def test_a_refund_names_its_payment_intent_under_a_key_of_its_own(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    service.will(Says(200, a_stripe_refund(REFUND_OF)))
    assert send(stripe, REFUND_OF) == Succeeded(REFUND)
    [asked] = service.asked
    assert (asked.path, asked.headers["idempotency-key"]) == ("/v1/refunds", REFUND_OF.key)
    assert asked.body == {
        "payment_intent": INTENT,
        "amount": "400",
        "metadata[billing_refund_id]": REFUND_OF.id,
        "metadata[billing_charge_id]": CHARGE.id,
    }


def test_every_attempt_has_the_same_key_and_the_same_body(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    service.will(Says(500, {}), Says(200, an_intent(CHARGE)))
    send(stripe, CHARGE)
    send(stripe, replace(CHARGE, first_sent_at=datetime.now(UTC)))
    first, second = service.asked
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == CHARGE.key
    assert first.body == second.body


@every("answer", [Says(500, {}), Resets(), Says(409, {})])
def test_nothing_is_sent_twice_by_the_library_itself(answer: Line) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(answer)
        send(stripe, CHARGE)
        assert len(service.asked) == 1


@every(
    "amount, currency, written",
    [
        (1999, "USD", "1999"),
        (500, "JPY", "500"),  # no decimals, here as there
        (5, "ISK", "500"),  # no decimals, but Stripe writes two
        (5, "UGX", "500"),
        (500, "MGA", "5"),  # two decimals by ISO 4217, and none at Stripe
        (5120, "KWD", "5120"),
        (17500, "HUF", "17500"),
        (100, "TWD", "100"),
    ],
)
def test_amounts_are_written_in_stripes_smallest_unit(
    amount: int, currency: str, written: str
) -> None:
    order = a_charge(amount=amount, currency=currency)
    with stripe_by_script() as (stripe, service):
        service.will(Says(200, an_intent(order, amount=int(written))))
        assert send(stripe, order) == Succeeded(INTENT)
        assert service.asked[0].body["amount"] == written


# --- what an answer comes to ------------------------------------------------------------------

STANDINGS: list[tuple[dict[str, Any], object]] = [
    (an_intent(CHARGE, "succeeded"), Succeeded(INTENT)),
    (an_intent(CHARGE, "processing"), Pending(INTENT, "processing")),
    (an_intent(CHARGE, "requires_capture", created=0), Authorized(INTENT, 0, A_WEEK)),
    (an_intent(CHARGE, capture_method="manual", amount_received=400), Succeeded(INTENT, 400)),
    (an_intent(CHARGE, "canceled", amount_received=400), Succeeded(INTENT, 400)),
    (
        an_intent(CHARGE, "requires_action", next_action=AUTHENTICATE),
        Pending(
            INTENT,
            "requires_action",
            NextAction("redirect_to_url", "https://hooks.stripe.com/3ds"),
        ),
    ),
    (
        an_intent(CHARGE, "requires_action", next_action={"type": "use_stripe_sdk"}),
        Pending(INTENT, "requires_action", NextAction("use_stripe_sdk")),
    ),
    (an_intent(CHARGE, "canceled"), Canceled(INTENT)),
    (
        an_intent(CHARGE, "canceled", cancellation_reason="abandoned", last_payment_error=FAILED),
        declined("insufficient_funds", "insufficient_funds", INTENT),
    ),
    (an_intent(CHARGE, "a_word_of_tomorrow"), Unknown("unknown_status")),
    (an_intent(CHARGE, amount=999), Unknown("another_amount")),
    (an_intent(CHARGE, currency="eur"), Unknown("another_amount")),
    ({"id": INTENT}, Unknown("unreadable_answer")),
    ([], Unknown("unreadable_answer")),
]


@every("document, outcome", STANDINGS)
def test_a_payment_intent_says_how_a_charge_stands(
    document: dict[str, Any], outcome: object
) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(Says(200, document))
        assert send(stripe, CHARGE) == outcome
        if outcome != Unknown("unreadable_answer"):
            known = replace(CHARGE, reference=INTENT)
            assert stripe.look_up(known, deadline_s=DEADLINE_S) == outcome


@every(
    "document, outcome",
    [
        (a_stripe_refund(REFUND_OF, "succeeded"), Succeeded(REFUND)),
        (a_stripe_refund(REFUND_OF, "pending"), Pending(REFUND, "processing")),
        (a_stripe_refund(REFUND_OF, "requires_action"), Pending(REFUND, "processing")),
        (
            a_stripe_refund(REFUND_OF, "failed", failure_reason="expired_or_canceled_card"),
            declined("refund_failed", "expired_or_canceled_card", REFUND),
        ),
        (a_stripe_refund(REFUND_OF, "canceled"), declined("refund_failed", "canceled", REFUND)),
        (a_stripe_refund(REFUND_OF, "a_word_of_tomorrow"), Unknown("unknown_status")),
        (a_stripe_refund(REFUND_OF, amount=1), Unknown("another_amount")),
    ],
)
def test_a_refund_says_how_it_stands(document: dict[str, Any], outcome: object) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(Says(200, document))
        assert send(stripe, REFUND_OF) == outcome
        known = replace(REFUND_OF, reference=REFUND)
        assert stripe.look_up(known, deadline_s=DEADLINE_S) == outcome


def card(code: str, decline_code: str | None = None) -> Says:
    """A card error, and the PaymentIntent that it leaves behind."""
    more = {} if decline_code is None else {"decline_code": decline_code}
    left = an_intent(CHARGE, "requires_payment_method")
    return an_error(402, "card_error", code=code, payment_intent=left, **more)


@every(
    "decline_code, advice_code, advice",
    [
        ("insufficient_funds", None, None),  # our code for it says all
        ("fraudulent", None, STOP),
        ("insufficient_funds", "do_not_try_again", STOP),  # what the issuer advises counts most
        ("generic_decline", "try_again_later", TOMORROW),
        ("generic_decline", "confirm_card_data", ASK),
    ],
)
def test_a_decline_brings_what_stripe_advises(
    decline_code: str, advice_code: str | None, advice: object
) -> None:
    told = {"code": "card_declined", "decline_code": decline_code, "advice_code": advice_code}
    failed = an_intent(CHARGE, "requires_payment_method", last_payment_error=told)
    with stripe_by_script() as (stripe, service):
        service.will(an_error(402, "card_error", payment_intent=failed, **told))
        sent = send(stripe, CHARGE)
        assert isinstance(sent, Declined)
        assert sent.advised == advice
        service.will(a_list(failed), Says(200, an_intent(CHARGE, "canceled")))
        assert stripe.look_up(CHARGE, deadline_s=DEADLINE_S) == sent


def invalid(status: int = 400, **told: Any) -> Says:
    return an_error(status, "invalid_request_error", **told)


BUSY = {"Retry-After": "7"}
# The answer to a charge, what it comes to for the charge; and for a look-up, which no refusal of
# its own can decide.
REFUSALS: list[tuple[Line, object, object]] = [
    # docs.stripe.com/testing#declined-payments
    (card("card_declined", "generic_decline"),
     declined("card_declined", "generic_decline", INTENT), Unknown("unreadable_answer")),
    (card("card_declined", "insufficient_funds"),
     declined("insufficient_funds", "insufficient_funds", INTENT), Unknown("unreadable_answer")),
    (card("card_declined", "lost_card"),
     declined("lost_card", "lost_card", INTENT), Unknown("unreadable_answer")),
    (card("card_declined", "stolen_card"),
     declined("stolen_card", "stolen_card", INTENT), Unknown("unreadable_answer")),
    (card("expired_card"),
     declined("expired_card", "expired_card", INTENT), Unknown("unreadable_answer")),
    (card("incorrect_cvc"),
     declined("incorrect_cvc", "incorrect_cvc", INTENT), Unknown("unreadable_answer")),
    (card("processing_error"),
     declined("processing_error", "processing_error", INTENT), Unknown("unreadable_answer")),
    (card("incorrect_number"),
     declined("incorrect_card_details", "incorrect_number", INTENT), Unknown("unreadable_answer")),
    (card("authentication_required", "authentication_required"),
     declined("authentication_required", "authentication_required", INTENT),
     Unknown("unreadable_answer")),
    (card("card_declined", "a_word_of_tomorrow"),
     declined("card_declined", "a_word_of_tomorrow", INTENT), Unknown("unreadable_answer")),
    # docs.stripe.com/error-codes
    (invalid(404, code="resource_missing", param="payment_method"),
     declined("invalid_payment_method", "resource_missing"), Unknown("unreadable_answer")),
    (invalid(code="resource_missing", param="customer"),
     declined("invalid_payment_method", "resource_missing"), Unknown("unreadable_answer")),
    (invalid(code="payment_method_unexpected_state"),
     declined("invalid_payment_method", "payment_method_unexpected_state"),
     Unknown("unreadable_answer")),
    (invalid(code="amount_too_small", param="amount"),
     declined("invalid_request", "amount_too_small"), Unknown("unreadable_answer")),
    # docs.stripe.com/rate-limits
    (invalid(429, code="rate_limit", headers=BUSY),
     Unavailable("rate_limit", 7.0), Unavailable("rate_limit", 7.0)),
    (invalid(429, code="lock_timeout"),
     Unavailable("lock_timeout"), Unavailable("lock_timeout")),
    (Says(429, {"error": {"message": "…"}}, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
     Unavailable("rate_limited", 0.0), Unavailable("rate_limited", 0.0)),
    # docs.stripe.com/api/idempotent_requests
    (an_error(409, "idempotency_error", code="idempotency_key_in_use"),
     Unknown("idempotency_key_in_use"), Unknown("idempotency_key_in_use")),
    (an_error(400, "idempotency_error"), Unknown("key_reused"), Unknown("key_reused")),
    # docs.stripe.com/api/errors, docs.stripe.com/keys
    (invalid(401), Unavailable("authentication", 60.0, needs_operator=True),
     Unavailable("authentication", 60.0, needs_operator=True)),
    (invalid(403), Unavailable("permission", 60.0, needs_operator=True),
     Unavailable("permission", 60.0, needs_operator=True)),
    (invalid(400, code="testmode_charges_only"),
     Unavailable("testmode_charges_only", 60.0, needs_operator=True),
     Unavailable("testmode_charges_only", 60.0, needs_operator=True)),
    # docs.stripe.com/error-low-level#server-errors
    (an_error(500, "api_error"), Unknown("server_error"), Unknown("server_error")),
    (an_error(503, "api_error"), Unknown("server_error"), Unknown("server_error")),
    (an_error(424, "api_error"), Unknown("unreadable_answer"), Unknown("unreadable_answer")),
    # What stands between us and Stripe may say anything.
    (Says(500, raw=b"<html>bad gateway</html>"), Unknown("server_error"), Unknown("server_error")),
    (Says(403, raw=b"<html>blocked</html>"), Unknown("unreadable_answer"),
     Unknown("unreadable_answer")),
    (Says(400, {"error": "not an object"}), Unknown("unreadable_answer"),
     Unknown("unreadable_answer")),
    (Says(200, raw=b'{"id": "pi_'), Unknown("unreadable_answer"), Unknown("unreadable_answer")),
    (Says(200, raw=b"\xff\xfe"), Unknown("unreadable_answer"), Unknown("unreadable_answer")),
    (Says(302, {}, {"Location": "https://example.com"}), Unknown("unreadable_answer"),
     Unknown("unreadable_answer")),
]  # fmt: skip


@every("answer, charged, looked_up", REFUSALS)
def test_every_refusal_has_its_meaning(answer: Line, charged: object, looked_up: object) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(answer)
        assert send(stripe, CHARGE) == charged
        known = replace(CHARGE, reference=INTENT)
        assert stripe.look_up(known, deadline_s=DEADLINE_S) == looked_up


@every(
    "answer, outcome",
    [
        (invalid(code="charge_already_refunded"),
         declined("refund_declined", "charge_already_refunded")),
        (invalid(), declined("refund_declined", "invalid_request_error")),  # more than is left
        (invalid(code="balance_insufficient"),
         declined("refund_declined", "balance_insufficient")),
        (invalid(404, code="resource_missing", param="payment_intent"),
         declined("refund_declined", "resource_missing")),
        (invalid(429, code="lock_timeout"), Unavailable("lock_timeout")),
        (invalid(401), Unavailable("authentication", 60.0, needs_operator=True)),
        (Says(500, {}), Unknown("server_error")),
    ],
)  # fmt: skip
def test_a_refusal_of_a_refund_has_its_meaning(answer: Line, outcome: object) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(answer)
        assert send(stripe, REFUND_OF) == outcome


def test_a_refund_of_a_charge_without_a_reference_is_declined_unsent(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    outcome = send(stripe, replace(REFUND_OF, charge_reference=None))
    assert isinstance(outcome, Declined)
    assert outcome.code == "refund_declined"
    assert not service.asked


# --- what happens on the road -----------------------------------------------------------------


@every(
    "fault, reason",
    [
        (Resets(), "connection_closed"),
        (HangsUp(), "connection_closed"),
        (Resets(HEAD + b'{"id":'), "connection_closed"),
        (HangsUp(HEAD + b'{"id":'), "bad_answer"),
        (HangsUp(b"HTTP/1.1 200"), "bad_answer"),
    ],
)
def test_once_it_was_sent_nobody_can_tell(fault: Line, reason: str) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(fault)
        outcome = send(stripe, CHARGE)
        assert isinstance(outcome, Unknown)
        assert len(service.asked) == 1


@every("fault", [Hangs(), Drips(), Drips(HEAD)])
def test_a_call_ends_at_its_deadline_however_the_answer_drips(fault: Line) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(fault)
        assert send(stripe, CHARGE, deadline_s=0.3 * slowness()) == Unknown("timeout")
        assert len(service.asked) == 1


def test_a_refused_connection_is_a_promise_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with stripe_at(f"http://127.0.0.1:{port}") as stripe:
        assert send(stripe, CHARGE) == Unavailable("connection_refused")


def test_a_name_that_nobody_has_is_a_promise_too() -> None:
    with stripe_at("https://stripe.invalid") as stripe:
        assert send(stripe, CHARGE) == Unavailable("dns_failed")


def test_a_handshake_that_fails_is_a_promise_too(account: tuple[Stripe, Service]) -> None:
    _, service = account
    with stripe_at(service.url.replace("http:", "https:")) as stripe:
        assert send(stripe, CHARGE) == Unavailable("tls_error")
    assert not service.asked


def test_the_environment_names_a_proxy_and_never_another_key(
    account: tuple[Stripe, Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, service = account
    passwords = tmp_path / "netrc"
    passwords.write_text("default login somebody password else\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("NETRC", str(passwords))
    monkeypatch.setenv("http_proxy", service.url)
    service.will(Says(200, an_intent(CHARGE)))
    with stripe_at("http://stripe.invalid") as stripe:
        assert send(stripe, CHARGE) == Succeeded(INTENT)
        monkeypatch.setenv("no_proxy", "stripe.invalid")
        assert send(stripe, CHARGE) == Unavailable("dns_failed")
    [asked] = service.asked
    assert asked.headers["authorization"] == f"Bearer {API_KEY}"


@contextmanager
def never_accepts() -> Iterator[str]:
    """A port whose queue is full, so that no connection comes about."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        queued = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(server.getsockname())
            queued.append(one)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for one in queued:
            one.close()


def test_a_connection_that_does_not_come_about_in_time_is_a_promise_too() -> None:
    with never_accepts() as url, stripe_at(url) as stripe:
        assert send(stripe, CHARGE, deadline_s=0.3 * slowness()) == Unavailable("timeout")


def test_a_repeated_answer_is_as_old_as_the_first_so_it_is_asked_for_anew(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    then = Says(200, an_intent(CHARGE, "requires_action"), {"Idempotent-Replayed": "true"})
    now = Says(200, an_intent(CHARGE, "canceled"))
    service.will(then, now)
    assert send(stripe, CHARGE) == Canceled(INTENT)
    service.will(then, Says(429, {}))
    assert send(stripe, CHARGE) == Unknown("look_up_failed", INTENT)


# --- looking up -------------------------------------------------------------------------------


def test_without_a_reference_it_is_found_in_the_list_of_its_customer_by_our_id(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    sent_at = datetime(2026, 1, 2, tzinfo=UTC)
    since = int((sent_at - timedelta(minutes=5)).timestamp())
    until = int((sent_at + timedelta(minutes=25)).timestamp()) + 1
    others = [an_intent(a_charge(), id=f"pi_{n}", created=until - 9) for n in range(2)]
    service.will(a_list(*others, has_more=True), a_list(an_intent(CHARGE, "processing")))
    order = replace(CHARGE, first_sent_at=sent_at, last_sent_at=sent_at)
    assert stripe.look_up(order, deadline_s=DEADLINE_S) == Pending(INTENT, "processing")
    first, second = service.asked
    assert first.path == second.path == "/v1/payment_intents"
    assert first.query["created[gte]"] == second.query["created[gte]"] == [str(since)]
    assert first.query["created[lt]"] == [str(until)]
    # There are more in that time than a page has: it is narrowed down, from its beginning.
    assert second.query["created[lt]"] == [str(since + 9)]
    assert first.query["customer"] == second.query["customer"] == ["cus_ada"]


@every("verb", ["look_up", "cancel"])
def test_a_walk_that_runs_out_of_time_says_how_far_it_came(verb: str) -> None:
    with stripe_by_script() as (stripe, service):
        order = replace(CHARGE, first_sent_at=datetime.now(UTC) - timedelta(days=2))
        recent = an_intent(a_charge(), id="pi_1", created=int(time.time()) - 60)
        service.will(a_list(recent, has_more=True), a_list(), Hangs())
        found = getattr(stripe, verb)(order, deadline_s=0.5 * slowness())
        assert isinstance(found, Unknown)
        assert found.reason == "look_up_incomplete"
        assert found.looked_until is not None
        assert found.looked_until > order.first_sent_at


def test_a_refund_is_found_among_those_of_its_charge(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    other = a_stripe_refund(a_refund(CHARGE), id="re_other")
    service.will(a_list(other, a_stripe_refund(REFUND_OF)))
    assert stripe.look_up(REFUND_OF, deadline_s=DEADLINE_S) == Succeeded(REFUND)
    assert service.asked[0].query["payment_intent"] == [INTENT]


@every("order", [CHARGE, REFUND_OF])
def test_what_no_list_has_was_never_heard_of(order: Order) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(a_list(an_intent(a_charge(), id="pi_of_others")))
        assert stripe.look_up(order, deadline_s=DEADLINE_S) == NotFound()


@every("status", ["requires_confirmation", "requires_payment_method"])
def test_what_was_made_and_never_tried_may_be_sent_again(status: str) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(a_list(an_intent(CHARGE, status)))
        assert stripe.look_up(CHARGE, deadline_s=DEADLINE_S) == NotFound()


def test_a_payment_that_failed_is_closed_before_it_counts_as_declined(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    failed = an_intent(CHARGE, "requires_payment_method", last_payment_error=FAILED)
    service.will(a_list(failed), Says(200, an_intent(CHARGE, "canceled")))
    no = declined("insufficient_funds", "insufficient_funds", INTENT)
    assert stripe.look_up(CHARGE, deadline_s=DEADLINE_S) == no
    assert service.asked[1].path == f"/v1/payment_intents/{INTENT}/cancel"
    assert service.asked[1].body == {"cancellation_reason": "abandoned"}


def test_a_payment_that_succeeds_while_it_is_closed_is_a_success(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    failed = an_intent(CHARGE, "requires_payment_method", last_payment_error=FAILED)
    service.will(a_list(failed), TOO_LATE, Says(200, an_intent(CHARGE, "succeeded")))
    assert stripe.look_up(CHARGE, deadline_s=DEADLINE_S) == Succeeded(INTENT)


# --- canceling --------------------------------------------------------------------------------

TOO_LATE = invalid(code="payment_intent_unexpected_state")


@every(
    "script, outcome",
    [
        ([a_list()], NotFound()),
        ([a_list(an_intent(CHARGE, "requires_action")), Says(200, an_intent(CHARGE, "canceled"))],
         Canceled(INTENT)),
        ([a_list(an_intent(CHARGE, "requires_action")), TOO_LATE,
          Says(200, an_intent(CHARGE, "succeeded"))], Succeeded(INTENT)),
        ([a_list(an_intent(CHARGE, "processing")), TOO_LATE,
          Says(200, an_intent(CHARGE, "processing"))], Pending(INTENT, "processing")),
        ([a_list(an_intent(CHARGE, "canceled")), TOO_LATE,
          Says(200, an_intent(CHARGE, "canceled"))], Canceled(INTENT)),
        ([a_list(an_intent(CHARGE, "requires_action")), Resets()], Unknown("connection_closed")),
        ([a_list(an_intent(CHARGE, "requires_action")), Says(500, {})], Unknown("server_error")),
        ([invalid(429, code="lock_timeout")], Unavailable("lock_timeout")),
        ([a_list(an_intent(CHARGE, amount=1))], Unknown("another_amount")),
    ],
)  # fmt: skip
def test_a_cancellation_says_how_it_stands_then(script: list[Line], outcome: object) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(*script)
        assert stripe.cancel(CHARGE, deadline_s=DEADLINE_S) == outcome


def test_each_cancellation_has_a_key_of_its_own(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    service.will(
        by_path(
            cancel=Says(200, an_intent(CHARGE, "canceled")),
            **{INTENT: Says(200, an_intent(CHARGE, "requires_action"))},
        )
    )
    for _ in range(2):
        stripe.cancel(replace(CHARGE, reference=INTENT), deadline_s=DEADLINE_S)
    keys = [key for key in service.keys if key is not None]
    assert len(set(keys)) == 2


# --- secrets and signals ----------------------------------------------------------------------


def test_a_wrong_key_is_told_once_in_a_while_and_not_once_a_charge(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    with stripe_by_script(clock=lambda: now[0]) as (stripe, service):
        service.will(invalid(401))
        for _ in range(3):
            send(stripe, CHARGE)
        now[0] = 300.0
        send(stripe, CHARGE)
    loud = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(loud) == 2
    assert "authentication" in loud[0].getMessage()


@every(
    "answer, wrong",
    [
        (a_list(), None),
        (invalid(401), "refuses our key (authentication)"),
        (invalid(403), "refuses our key (permission)"),
        (Says(500, {}), "gives no answer (server_error)"),
        (Resets(), "gives no answer (connection_closed)"),
    ],
)
def test_the_doctor_is_told_what_is_wrong_with_the_key(answer: Line, wrong: str | None) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(answer)
        assert stripe.check(deadline_s=DEADLINE_S) == wrong


def test_debug_logs_hold_no_key_no_customer_and_no_card(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STRIPE_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    answers: list[Line] = [
        Says(200, an_intent(CHARGE, payment_method_details={"card": {"last4": "4242"}})),
        card("card_declined", "lost_card"),
        invalid(401),
        Says(500, raw=b"4242424242424242"),
        Resets(),
    ]
    with stripe_by_script() as (stripe, service):
        for answer in answers:
            service.will(answer)
            send(stripe, CHARGE)
            stripe.look_up(CHARGE, deadline_s=DEADLINE_S)
    said = caplog.text + "".join(capfd.readouterr())
    for secret in (API_KEY, "4242", "cus_ada", "ada@example.com", "pm_card_visa"):
        assert secret not in said
