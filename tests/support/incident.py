"""A bad morning, in a database of its own: what `docs/operations.md` asks about."""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine

from payments.access import keys
from payments.approval_policy import NOTHING
from payments.intake import rejections
from payments.lifecycle import reviews
from payments.payment_errors import Refused
from payments.webhooks import endpoints
from tests.support.acting import Database, by
from tests.support.counter import Counter
from tests.support.webhooks import a_deliverer, an_endpoint

# Nobody listens there.
DEAD = "http://127.0.0.1:9/dead-receiver"


def happens(till: Counter, receiver: str) -> dict[str, str]:
    """Let it happen; `receiver` is the URL of one that answers. What the document calls `$CHARGE`
    and the like, by those names."""
    charge = partial(till.charge, producer="shop")
    dead, alive = (an_endpoint(till.engine, url).id for url in (DEAD, receiver))
    order = {"amount": 1999, "customer_id": "cus_ann"}
    paid = charge(**order, reference="order-1042", metadata={"cart": "7781"})
    # Once more under another key: refused, as it names the order; and again without naming it.
    _refused(till, partial(charge, **order, reference="order-1042", idempotency_key="again-1042"))
    charge(**order, idempotency_key="once-more-1042")
    till.refund(paid["id"], amount=500, producer="shop", reason="one seat too many")
    charge(reference="order-1043", payment_method_id="pm_card_chargeDeclinedInsufficientFunds")
    charge(amount=70_000, currency="JPY")
    stuck = charge(amount=4321, payment_method_id="pm_sandbox_lost")
    decided, waiting = _for_review(till, 2600), _for_review(till, 2700)
    with Database(till.engine, acting=by("ben")).transaction() as transaction:
        reviews.resolve(transaction, decided, "failed", approvals=NOTHING)
    _disputed(charge, till)
    price = till.price(quantity_available=3, lookup_key="concert-2026")["id"]
    till.buy(price, 2, producer="shop")
    _refused(till, partial(till.buy, price, 2, producer="shop", idempotency_key="seats-for-two"))
    _poisoned(till)
    key = _leaked_key(till.engine)
    with a_deliverer(till.engine) as deliverer:
        for endpoint in (dead, alive):
            deliverer.drain(endpoint)
    with Database(till.engine, acting=by("cleo")).transaction() as transaction:
        endpoints.disable(transaction, dead)
    return {
        "CHARGE": paid["id"],
        "STUCK": stuck["id"],
        "WAITING": waiting,
        "DECIDED": decided,
        "ENDPOINT": dead,
        "PRICE": price,
        "KEY": key,
    }


def _refused(till: Counter, ask: Any) -> None:
    """Ask for what is refused by its message, as the broker's door would."""
    with pytest.raises(Refused) as refusal:
        ask()
    fields = {"amount": 1999, "currency": "USD", **ask.keywords}
    with till.database.transaction() as transaction:
        rejections.record(
            transaction,
            "billing.charge.create",
            refused=refusal.value,
            fields=fields,
            task_id=f"task of {fields['idempotency_key']}",
        )


def _for_review(till: Counter, amount: int) -> str:
    """A charge that no processor can tell of any more."""
    id_ = till.charge(amount=amount, producer="shop", payment_method_id="pm_sandbox_lost")["id"]
    till.query(
        "UPDATE charges SET first_called_at = now() - interval '2 days' WHERE id = :i", i=id_
    )
    assert till.go_on(id_)["phase"] == "needs_review"
    return str(id_)


def _disputed(charge: Any, till: Counter) -> None:
    charge(amount=2500, payment_method_id="pm_sandbox_disputed")
    till.query("UPDATE sandbox_events SET next_offer_at = now() WHERE next_offer_at IS NOT NULL")
    assert till.hear_reports() == 1


def _poisoned(till: Counter) -> None:
    with till.database.transaction() as transaction:
        rejections.quarantine(
            transaction, b"gibberish", queue="payments", reason="the body is not JSON"
        )


def _leaked_key(engine: Engine) -> str:
    """A key that somebody revoked, and why is known."""
    with Database(engine, acting=by("ann")).transaction() as transaction:
        key = keys.create(transaction, producer="old-checkout")[0].id
        keys.revoke(transaction, key)
    return str(key)
