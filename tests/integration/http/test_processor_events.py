"""Events of processors at the door: raw bytes, a signature, and an answer that says come again."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from local.embedded.throwaway import Servers
from tests.conftest import environ_for
from tests.support.factories import Till, a_charge
from tests.support.nursery import Nursery
from tests.support.sandbox import a_charge as an_order
from tests.support.scripted import Says, Service, scripted_service
from tests.support.stripe import (
    API_KEY,
    INTENT,
    WEBHOOK_SECRET,
    a_snapshot,
    a_stripe_refund,
    an_intent,
    signed,
)
from tests.support.waiting import patience_s
from tests.support.web import V1, Web, web

EVENTS = f"{V1}/processors/stripe/events"


@pytest.fixture(scope="module")
def stripe() -> Iterator[Service]:
    with scripted_service() as service:
        yield service


@pytest.fixture(scope="module")
def stripe_door(
    servers: Servers,
    _shared_engine: Engine,
    nursery: Nursery,
    stripe: Service,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    url = _shared_engine.url.render_as_string(hide_password=False)
    environ = environ_for(url, servers.redis.url, tmp_path_factory.mktemp("web")) | {
        "BILLING_PROCESSORS": "sandbox,stripe",
        "BILLING_STRIPE_API_KEY": API_KEY,
        "BILLING_STRIPE_WEBHOOK_SECRETS": f"whsec_rolled0away,{WEBHOOK_SECRET}",
        "BILLING_STRIPE_API_BASE": stripe.url,
        "BILLING_HTTP_REFUSED_RATE": "0.01",
        "BILLING_HTTP_TRUSTED_PROXIES": "127.0.0.0/8",
        "BILLING_LOG_LEVEL": "debug",
    }
    with web(nursery, environ, _shared_engine) as running:
        yield running


@pytest.fixture
def stripes(stripe_door: Web) -> Till:
    """A worker that has Stripe."""
    return Till(stripe_door.engine, processors=["stripe", "sandbox"])


def bring(door: Web, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.post(
        door.url + EVENTS,
        content=body,
        headers=headers or signed(body),
        timeout=patience_s(),
        trust_env=False,
    )


def code(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()["code"] if answer.content else None


def test_an_event_settles_its_charge_without_a_key_of_ours(
    stripe_door: Web, stripe: Service, stripes: Till
) -> None:
    claimed = stripes.claim(a_charge())
    paid = an_intent(an_order(id=claimed.id))
    stripe.will(Says(200, paid))
    assert code(bring(stripe_door, a_snapshot(paid))) == (204, None)
    assert stripes.stand(claimed.id) == "succeeded"
    assert stripes.row(claimed.id)["processor_reference"] == INTENT
    assert code(bring(stripe_door, a_snapshot(paid))) == (204, None)
    assert stripes.events(claimed.id) == ["charge.succeeded"]


def test_a_refund_made_in_the_dashboard_becomes_one_of_ours(
    stripe_door: Web, stripe: Service, stripes: Till
) -> None:
    claimed = stripes.claim(a_charge())
    order = an_order(id=claimed.id)
    paid = an_intent(order)
    by_hand = a_stripe_refund(order, metadata={}, payment_intent=paid, amount=300)
    stripe.will(Says(200, by_hand))
    # Its charge is not known to have succeeded yet.
    assert code(bring(stripe_door, a_snapshot(by_hand))) == (409, "event_too_early")
    stripe.will(Says(200, paid))
    bring(stripe_door, a_snapshot(paid))
    stripe.will(Says(200, by_hand))
    assert code(bring(stripe_door, a_snapshot(by_hand))) == (204, None)
    assert stripes.row(claimed.id)["refunded_amount"] == 300


def test_what_can_not_be_known_yet_is_answered_so_that_it_comes_again(
    stripe_door: Web, stripe: Service
) -> None:
    paid = an_intent(an_order())
    stripe.will(Says(200, paid))
    assert code(bring(stripe_door, a_snapshot(paid))) == (409, "event_too_early")
    stripe.will(Says(500, {}))
    assert code(bring(stripe_door, a_snapshot(paid))) == (503, "processor_silent")


def test_what_is_none_of_ours_is_taken_and_forgotten(stripe_door: Web) -> None:
    body = a_snapshot({"object": "customer", "id": "cus_1"}, "customer.created")
    assert code(bring(stripe_door, body)) == (204, None)


def test_only_processors_that_bring_events_have_a_door(stripe_door: Web) -> None:
    for name in ("sandbox", "paypal"):
        url = f"{stripe_door.url}{V1}/processors/{name}/events"
        answer = httpx.post(url, content=b"{}", timeout=patience_s(), trust_env=False)
        assert code(answer) == (404, "not_found")


def test_too_large_a_body_is_refused_unread(stripe_door: Web) -> None:
    assert code(bring(stripe_door, b" " * 65_537)) == (413, "body_too_large")


def test_forgers_are_refused_and_then_slowed_down_and_the_processor_is_not(
    stripe_door: Web, stripe: Service
) -> None:
    asked = len(stripe.asked)
    body = a_snapshot(an_intent(an_order()))
    forged = {"stripe-signature": "t=1,v1=00", "x-forwarded-for": "203.0.113.7"}
    answers = [code(bring(stripe_door, body, forged)) for _ in range(3)]
    assert answers[0] == (400, "event_refused")
    assert answers[-1] == (429, "rate_limited")
    assert len(stripe.asked) == asked
    assert code(bring(stripe_door, a_snapshot({"object": "customer", "id": "x"}))) == (204, None)


def test_the_log_of_all_this_holds_no_secret(stripe_door: Web) -> None:
    bring(stripe_door, b"4242424242424242", {"stripe-signature": WEBHOOK_SECRET})
    said = stripe_door.program.output
    for secret in (API_KEY, WEBHOOK_SECRET, "whsec_rolled0away", "4242"):
        assert secret not in said
