"""The SDK and the service hold each other to their word: ids, refusals, objects, documents."""

import ast
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import payments.payment_errors
from infra import billing
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.inventory_request import InventoryRequest, QuoteRequest
from infra.billing.contract.requests.price_request import PriceRequest
from infra.billing.contract.requests.product_request import ProductRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from infra.billing.problem_errors import error_of
from tests.support.every import every
from tests.support.programs import ROOT
from tests.support.refusals import present, sdk_says, service_says, short
from tests.support.scripted import Says, scripted_service
from tests.support.seeds import run

pytestmark = pytest.mark.usefixtures("unconfigured")

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "python.md"
NOBODY = "redis://127.0.0.1:1"
CARD = "4242 4242 4242 4242"
CHARGE = {"amount": 1999, "currency": "USD", "idempotency_key": "order-1"}
REFUND = {"charge_id": "ch_" + "a" * 32, "idempotency_key": "refund-1"}

WRONG: list[tuple[type[Any], dict[str, Any]]] = [
    (ChargeRequest, {"amount": None}),
    (ChargeRequest, {"currency": None}),
    (ChargeRequest, {"amount": 19.99}),
    (ChargeRequest, {"amount": Decimal("19.99")}),
    (ChargeRequest, {"amount": 10**15}),
    (ChargeRequest, {"currency": "QQQ"}),
    (ChargeRequest, {"idempotency_key": 7}),
    (ChargeRequest, {"idempotency_key": "a\ud800b"}),
    (ChargeRequest, {"customer_id": "c" * 256}),
    (ChargeRequest, {"payment_method_id": CARD}),
    (ChargeRequest, {"metadata": {"note": CARD}}),
    (ChargeRequest, {"metadata": "order=1"}),
    (ChargeRequest, {"price_id": "standard"}),
    (ChargeRequest, {"scheduled_at": "tomorrow"}),
    (ChargeRequest, {"scheduled_at": "9999-12-31T23:59:59Z"}),
    (ChargeRequest, {"capture": "later"}),
    (RefundRequest, {"charge_id": None}),
    (RefundRequest, {"charge_id": "re_abc"}),
    (RefundRequest, {"amount": 0}),
    (RefundRequest, {"if_pending": "cancel"}),
    (RefundRequest, {"restock": "true"}),
    (RefundRequest, {"restock_quantity": 2}),
    (CaptureRequest, {"charge_id": "ch_1"}),
    (CaptureRequest, {"amount": 0}),
    (CaptureRequest, {"final": "false"}),
    (CaptureRequest, {"idempotency_key": ""}),
    (CancelRequest, {"charge_id": "ch_1"}),
    (CancelRequest, {"reason": "a\nb"}),
]
ASKS: dict[type[Any], tuple[Callable[..., object], dict[str, Any]]] = {
    ChargeRequest: (billing.charge.create, CHARGE),
    RefundRequest: (billing.refund.create, REFUND),
    CaptureRequest: (
        lambda charge_id, amount=None, final=None, idempotency_key=None: billing.charge.capture(
            charge_id, amount=amount, final=final, idempotency_key=idempotency_key
        ),
        {"charge_id": REFUND["charge_id"], "idempotency_key": "capture-1"},
    ),
    CancelRequest: (
        lambda charge_id, reason=None: billing.charge.cancel(charge_id, reason=reason),
        {"charge_id": REFUND["charge_id"]},
    ),
}


@every("model, changes", WRONG, ids=short)
def test_over_a_broker_the_sdk_refuses_in_the_words_of_the_service(model, changes):
    billing.configure(url=NOBODY)  # what was sent would be Unavailable
    ask, fields = ASKS[model]
    said = service_says(model, present({**fields, **changes}))
    assert said is not None
    assert sdk_says(ask, {**fields, **changes}) == said


@every(
    "changes",
    [
        {"scheduled_at": "2020-12-01T08:00:00+02:00"},
        {"scheduled_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"currency": "HRK"},
    ],
    ids=short,
)
def test_what_time_has_made_wrong_is_for_the_service_to_refuse(changes):
    """It may be a repeat of what was accepted, which only the service can tell."""
    billing.configure(url=NOBODY)
    assert service_says(ChargeRequest, {**CHARGE, **changes}) is not None
    with pytest.raises(billing.Unavailable):
        billing.charge.create(**{**CHARGE, **changes})


def test_over_a_broker_metadata_may_be_any_mapping():
    billing.configure(url=NOBODY)
    with pytest.raises(billing.Unavailable):
        billing.charge.create(**CHARGE, metadata=MappingProxyType({"cart": "7"}))


@every("producer", ["shop", "shop.eu-1_b", "", "a b", "a\nb", "x" * 65, "4242-4242-4242-4242"])
def test_both_take_the_same_producers(producer):
    said = service_says(ChargeRequest, {**CHARGE, "producer": producer})
    assert sdk_says(billing.configure, {"url": NOBODY, "producer": producer}) == said


def _refusals(
    kind: type[payments.payment_errors.Refused],
) -> list[type[payments.payment_errors.Refused]]:
    # Those of the rules; what only a door may say has names of its own.
    children = [one for one in kind.__subclasses__() if one.__module__ == kind.__module__]
    return [one for child in children for one in (child, *_refusals(child))]


@every("kind", _refusals(payments.payment_errors.Refused))
def test_what_the_service_refuses_the_sdk_raises_under_the_same_name(kind):
    error = error_of(kind.status, {"code": kind.code}, where="there", request_id=None)
    assert (type(error).__name__, error.code) == (kind.__name__, kind.code)
    assert type(error).__mro__[1].__name__ in (kind.__mro__[1].__name__, "BillingError")


def test_the_example_of_the_document_asks_only_for_what_the_service_takes(
    unconfigured, monkeypatch
):
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    told = {
        "id": "prod_" + "a" * 32,
        "charge_id": "ch_" + "a" * 32,
        "refund_id": "re_1",
        "amount": 4150,
        "lines": [],
        "quantity_available": 94,
    }
    with scripted_service() as running:
        running.will(Says(200, told))
        monkeypatch.setenv("BILLING_URL", running.url)
        monkeypatch.setenv("BILLING_API_KEY", "bk_1")
        run("from infra import billing\n" + example)
    prices = "/v1/billing/prices"
    asked = {(one.method, one.path): one for one in running.asked}
    for route, model in {
        ("POST", "/v1/billing/products"): ProductRequest,
        ("POST", prices): PriceRequest,
        ("POST", f"{prices}/shirt/quote"): QuoteRequest,
        ("POST", "/v1/billing/charges"): ChargeRequest,
        ("POST", "/v1/billing/refunds"): RefundRequest,
        ("PUT", f"{prices}/shirt/inventory"): InventoryRequest,
    }.items():
        one = asked.pop(route)
        key = one.headers.get("idempotency-key")
        assert service_says(model, one.body | ({"idempotency_key": key} if key else {})) is None
    assert list(asked) == [("GET", f"{prices}/shirt")]


# Names that mean something else on either side, and why.
OTHERS = {
    "BATCH_MAX": "of create_many, of no table",
    "CONNECTIONS_MAX": "of the SDK's own pool",
}


def _bounds(*folders: str) -> set[str]:
    """What is assigned under a name with …_MAX or …_MIN in it, anywhere below these folders."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    found.add(node.id)
    return {name for name in found if re.fullmatch(r"[A-Z_]+_(MAX|MIN)(_S|_BYTES)?", name)}


def test_no_bound_is_written_on_both_sides():
    contract = _bounds("infra/billing/contract")
    sdk, service = _bounds("infra/billing") - contract, _bounds("models", "payments")
    assert {"AMOUNT_MAX", "TEXT_MAX", "METADATA_KEYS_MAX", "EVENT_IDS_MAX"} <= contract
    assert sdk & service <= {*OTHERS}
    assert contract & service == set()
