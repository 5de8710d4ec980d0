"""Our balance at Stripe: what moved, what it cost, and what was paid out."""

from typing import Any

from local.stripe_door.objects import event_snapshots
from local.stripe_door.shapes import Object, new_id
from local.stripe_door.stripe_request import Request

# The list price in the United States (stripe.com/pricing): 2.9 % and 30 cents; 15.00 for a dispute.
FEE_PER_MILLE, FEE_FIXED, FEE_DISPUTE = 29, 30, 1500
AVAILABLE_AFTER_S = 2 * 24 * 3600


def fee_of(amount: int) -> int:
    """What a charge costs, in minor units, rounded half up."""
    return (amount * FEE_PER_MILLE + 500) // 1000 + FEE_FIXED


def enter(
    request: Request,
    *,
    type_: str,
    source: Object,
    amount: int,
    fee: int = 0,
    category: str | None = None,
    available: bool = False,
) -> Object:
    """Enter what moved; `amount` is signed, as our balance sees it."""
    now = int(request.now)
    entry = {
        "id": new_id("balance_transaction"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": now if available else now + AVAILABLE_AFTER_S,
        "balance_type": "payments",
        "created": now,
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [_fee(fee, source["currency"])] if fee else [],
        "net": amount - fee,
        "reporting_category": category or type_,
        "source": source["id"],
        "status": "available" if available else "pending",
        "type": type_,
        "_payout": None,
    }
    return request.store.put(entry)


def witness(request: Request, source: Object, direction: str, amount: int, entry: Object) -> None:
    """Money moved: one line for outside observers, in minor units.

    `direction` is `charge`, `refund`, `refund_failure`, `dispute` or `dispute_reversal`. A capture
    is one movement, however many entries the balance has for it.
    """
    request.store.move(
        {
            "direction": direction,
            "object": source["id"],
            "payment_intent": source.get("payment_intent"),
            "charge": source.get("charge") or source["id"],
            "amount": amount,
            "currency": source["currency"],
            "metadata": dict(source.get("metadata") or {}),
            "balance_transaction": entry["id"],
            "key": request.key,
            "moved_at": request.now,
        }
    )


def _fee(amount: int, currency: str) -> Object:
    return {
        "amount": amount,
        "application": None,
        "currency": currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }


def grow_available(request: Request) -> None:
    """What was pending becomes available when its day has come; what was looked at once is not
    looked at again."""
    store, shelf = request.store, request.store.shelf("balance_transaction")
    seen = store.tables["facts"].get("available_up_to", 0)
    due = shelf.places_between(None, int(request.now) - AVAILABLE_AFTER_S).stop
    for place in range(seen, due):
        entry = shelf.at(place)
        if entry["status"] == "pending":
            store.put({**entry, "status": "available"})
    if due > seen:
        store.set("facts", "available_up_to", due)


def pay_out(request: Request) -> list[Object]:
    """Pay out, as Stripe does once a day, everything that is available: a payout per currency."""
    grow_available(request)
    due: dict[str, list[Object]] = {}
    for entry in request.store.shelf("balance_transaction"):
        if entry["status"] == "available" and not entry["_payout"] and entry["type"] != "payout":
            due.setdefault(entry["currency"], []).append(entry)
    return [_payout(request, currency, entries) for currency, entries in due.items()]


def _payout(request: Request, currency: str, entries: list[Object]) -> Object:
    now, amount = int(request.now), sum(entry["net"] for entry in entries)
    payout: dict[str, Any] = {
        "id": new_id("payout"),
        "object": "payout",
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": now,
        "automatic": True,
        "balance_transaction": None,
        "created": now,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": "ba_1StripeDoorBankAccount",
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "completed",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "paid",
        "trace_id": None,
        "type": "bank_account",
    }
    entry = enter(request, type_="payout", source=payout, amount=-amount, available=True)
    payout["balance_transaction"] = entry["id"]
    for one in (*entries, entry):
        one["_payout"] = payout["id"]
        request.store.put(one)
    request.store.put(payout)
    event_snapshots.tell(request, "payout.created", payout)
    event_snapshots.tell(request, "payout.paid", payout)
    event_snapshots.tell(request, "payout.reconciliation_completed", payout)
    return payout
