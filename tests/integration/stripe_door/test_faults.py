"""Every fault of the door: what the caller hears, and what moved; and then what a repeat hears."""

from typing import Any

import pytest
import stripe

from local.stripe_door.injected_faults import FAULTS, fault_named
from tests.support.every import every
from tests.support.stripe_door import Door, raised, stripe_door
from tests.support.waiting import slowness, wait_for

Client = stripe.StripeClient
LOST = stripe.APIConnectionError


@pytest.fixture
def impatient_s() -> float:
    """What somebody waits who is to hear nothing, and whose request is to arrive."""
    return 0.4 * slowness()


def impatient(door: Door, timeout_s: float) -> Client:
    return door.client(http_client=stripe.RequestsClient(timeout=timeout_s))


def create(client: Client, fault: str, key: str, **params: Any) -> stripe.PaymentIntent:
    given = {
        "amount": 1000,
        "currency": "usd",
        "payment_method": f"pm_fault_{fault}",
        "confirm": True,
        **params,
    }
    return client.v1.payment_intents.create(given, {"idempotency_key": key})  # type: ignore[arg-type]


# What happens → what the library makes of it, its status, and how often money has moved then.
HEARD: dict[str, tuple[type[stripe.StripeError], int | None, int]] = {
    "timeout_before": (LOST, None, 0),
    "reset_before": (LOST, None, 0),
    "500_before": (stripe.APIError, 500, 0),
    "503_before": (stripe.APIError, 503, 0),
    "401": (stripe.AuthenticationError, 401, 0),
    "409": (stripe.APIError, 409, 0),
    "429": (stripe.RateLimitError, 429, 0),
    "lock_timeout": (stripe.RateLimitError, 429, 0),
    "applied_then_timeout": (LOST, None, 1),
    "applied_then_reset": (LOST, None, 1),
    "applied_then_500": (stripe.APIError, 500, 1),
    "reset_at_byte_1": (LOST, None, 1),
    "reset_at_byte_400": (LOST, None, 1),
    "slow": (LOST, None, 1),
    "broken_json": (stripe.APIError, 200, 1),
    "empty_answer": (stripe.APIError, 200, 1),
    "html_answer": (stripe.APIError, 502, 1),
}
# Those that are only heard by whoever doesn't wait; all others answer, or hang up.
SILENT = ("timeout_before", "applied_then_timeout", "slow")


@every("fault, heard", HEARD.items())
def test_a_fault_once_and_the_repeat_ends_with_one_movement(
    door: Door,
    client: Client,
    impatient_s: float,
    fault: str,
    heard: tuple[type[stripe.StripeError], int | None, int],
) -> None:
    kind, status, moved = heard
    asking = impatient(door, impatient_s) if fault in SILENT else client
    if fault == "slow":
        fault = f"slow_{2500 * impatient_s:.0f}"  # ms: longer than they wait
    error = raised(kind, create, asking, f"{fault}_once", fault)
    assert error.http_status == status
    # A caller that gives up may be told nothing before its request is carried out.
    wait_for(lambda: len(door.movements(key=fault)) == moved, what="the money to move")

    def again() -> bool:
        try:
            return create(client, f"{fault}_once", fault).status == "succeeded"
        except stripe.APIError as busy:
            if busy.http_status != 409:  # the first one is still on its way back
                raise
            return False

    wait_for(again, what="the repeat to be answered")
    assert len(door.movements(key=fault)) == 1


@every("fault", [f"{name}_twice" for name in ("429", "500_before", "applied_then_500")])
def test_a_fault_twice_lets_the_third_try_through(door: Door, client: Client, fault: str) -> None:
    for _ in range(2):
        raised(stripe.StripeError, create, client, fault, fault)
    assert create(client, fault, fault).status == "succeeded"
    assert len(door.movements(key=fault)) == 1


def test_a_fault_without_a_number_of_times_never_ends(door: Door, client: Client) -> None:
    for _ in range(3):
        raised(stripe.APIError, create, client, "applied_then_500", "never ends")
    assert len(door.movements(key="never ends")) == 1


def test_what_is_carried_out_late_is_in_use_until_then(impatient_s: float) -> None:
    with stripe_door() as door:
        client = door.client()
        late = "applied_late_60000"
        raised(LOST, create, impatient(door, impatient_s), late, "late")
        assert door.movements() == []
        assert client.v1.payment_intents.list().data == []
        assert raised(stripe.APIError, create, client, late, "late").http_status == 409
        door.wait(61)
        assert len(door.movements(key="late")) == 1
        (made,) = client.v1.payment_intents.list().data
        assert made.status == "succeeded"
        assert create(client, late, "late").id == made.id


def test_an_answer_that_drips_arrives_for_those_who_wait(door: Door) -> None:
    paid = create(door.client(), "slow_drip_1", "drips")
    assert paid.status == "succeeded"
    assert len(door.movements(key="drips")) == 1


@every(
    "fault, status, moved",
    [
        ("refund_applied_then_500_once", 500, 1),
        ("refund_500_before_once", 500, 0),
        ("refund_429_once", 429, 0),
        ("refund_broken_json_once", 200, 1),
    ],
)
def test_refunds_have_faults_of_their_own(
    door: Door, client: Client, fault: str, status: int, moved: int
) -> None:
    intent = create(client, fault, f"charge {fault}")
    assert intent.status == "succeeded"
    refund, options = client.v1.refunds.create, {"idempotency_key": f"refund {fault}"}
    error = raised(stripe.StripeError, refund, {"payment_intent": intent.id}, options)
    assert error.http_status == status
    assert len(door.movements(key=f"refund {fault}")) == moved
    assert refund({"payment_intent": intent.id}, options).status == "succeeded"  # type: ignore[arg-type]
    assert len(door.movements(key=f"refund {fault}")) == 1


def test_captures_cancellations_and_look_ups_have_them_too(door: Door, client: Client) -> None:
    manual = {"capture_method": "manual"}
    held = create(client, "capture_applied_then_500_once", "hold 1", **manual)
    capture, options = client.v1.payment_intents.capture, {"idempotency_key": "capture"}
    raised(stripe.APIError, capture, held.id, {}, options)
    assert capture(held.id, {}, options).status == "succeeded"  # type: ignore[arg-type]
    assert len(door.movements(payment_intent=held.id)) == 1

    held = create(client, "cancel_applied_then_500_once", "hold 2", **manual)
    cancel, options = client.v1.payment_intents.cancel, {"idempotency_key": "cancel"}
    raised(stripe.APIError, cancel, held.id, {}, options)
    assert cancel(held.id, {}, options).status == "canceled"  # type: ignore[arg-type]

    paid = create(client, "look_up_500_before_once", "look up")
    raised(stripe.APIError, client.v1.payment_intents.retrieve, paid.id)
    assert client.v1.payment_intents.retrieve(paid.id).status == "succeeded"


def test_the_answer_is_cut_at_the_byte_that_was_asked_for(door: Door) -> None:
    """Whatever the byte, the money moved once, and nobody heard that it did."""
    client = door.client()
    for byte in (0, 1, 15, 16, 100, 300, 1000):
        fault, key = f"reset_at_byte_{byte}_once", f"cut at {byte}"
        raised(LOST, create, client, fault, key)
        assert create(client, fault, key).status == "succeeded"
        assert len(door.movements(key=key)) == 1


@every(
    "name", ["pm_fault_nothing", "pm_fault_", "pm_fault_once", "pm_fault_429_thrice", "pm_card_x"]
)
def test_what_names_no_fault_is_no_payment_method(client: Client, name: str) -> None:
    assert fault_named(name) is None
    error = raised(
        stripe.InvalidRequestError, create, client, "", f"key {name}", payment_method=name
    )
    assert error.code == "resource_missing"


def test_every_fault_has_a_line_in_the_documentation() -> None:
    from tests.support.programs import ROOT

    page = (ROOT / "docs/reference/stripe-door.md").read_text()
    assert [name for name in FAULTS if f"`{name}" not in page] == []
