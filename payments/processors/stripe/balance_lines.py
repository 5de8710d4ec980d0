"""Stripe's books: each line that changed our balance there, with its object, as a record.

One list has everything (charges, refunds, returned refunds, disputes, fees, payouts), with Stripe's
fee for each (https://docs.stripe.com/payouts/reconciliation). The kind of a line is its
`reporting_category`; its `type` depends on the payment method
(https://docs.stripe.com/reports/reporting-categories, both read 2026-11).
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from math import ceil
from typing import Any, TypeVar

import stripe

from infra.billing.contract.ids import PREFIXES
from payments.processors.outcomes import Unavailable, Unknown
from payments.processors.port import Record, RecordKind, RecordsUnavailable
from payments.processors.stripe.ownership import Ownership
from payments.processors.stripe.parts import amount_of
from payments.processors.stripe.refusals import COMMON, code_of, outcome_of
from payments.processors.stripe.standing import metadata_of, our_id
from payments.processors.stripe.stripe_amounts import from_stripe
from payments.processors.stripe.wire import CHARGE_ID, INSTALLATION, REFUND_ID, Object, Wire

T = TypeVar("T")

# A page is half a megabyte.
DEADLINE_S = 30.0
# Stripe allows 25 reads a second in test mode and 100 in live mode, for all users of the account
# (https://docs.stripe.com/rate-limits): one page after the other is well below that. A read that is
# refused all the same, or lost, is repeated after these pauses, or after as long as Stripe says.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
PAUSE_MAX_S = 60.0

_PAYOUT = re.compile(r"po_[A-Za-z0-9]{1,255}")
_NO_SUCH_PAYOUT = "resource_missing"
_KINDS: Mapping[str, RecordKind] = {
    "charge": "charge",
    "refund": "refund",
    "refund_failure": "reversal",
    "dispute": "dispute",
    "dispute_reversal": "dispute",
    "payout": "payout",
    "payout_reversal": "payout",
    "fee": "fee",
}
# What each of them is about; a line about anything else is not one of our payments.
_ABOUT = {"charge": "charge", "refund": "refund", "reversal": "refund"}
# For a partial capture, Stripe writes the whole amount, and what it released in a second line.
_LET_GO_OF = "partial_capture_reversal"


class BalanceLines:
    """Reads the lines, page after page."""

    def __init__(self, wire: Wire, owner: Ownership, sleep: Callable[[float], None]) -> None:
        self._wire = wire
        self._owner = owner
        self._sleep = sleep

    def lines(
        self, since: datetime, until: datetime, *, after: str | None = None
    ) -> Iterator[Record]:
        """What moved in that time, newest first, as Stripe lists it. One page at a time is in
        memory. Raises RecordsUnavailable."""
        # Stripe's clock shows whole seconds.
        created = {"gte": ceil(since.timestamp()), "lt": ceil(until.timestamp())}
        yield from self._read({"created": created}, after)

    def payout(self, payout_id: str, *, after: str | None = None) -> Iterator[Record]:
        """The lines of an automatic payout, including its own; nothing if there is no such payout.
        For a manual payout Stripe can't say which lines it includes. Raises RecordsUnavailable."""
        if _PAYOUT.fullmatch(payout_id):
            yield from self._read({"payout": payout_id}, after, payout_id)

    def _read(
        self, narrowed: Mapping[str, Any], after: str | None, payout_id: str | None = None
    ) -> Iterator[Record]:
        if (objection := self._owner.objection()) is not None:
            raise RecordsUnavailable(objection.reason)
        while True:
            entries, has_more = self._page({**narrowed, "starting_after": after})
            for entry in entries:
                try:
                    record = self._record(entry, payout_id)
                except (KeyError, TypeError, ValueError, AttributeError):
                    raise RecordsUnavailable("unreadable_answer") from None
                if record is not None:
                    yield record
            if not has_more:
                return
            after = entries[-1]["id"]

    def _page(self, narrowed: Mapping[str, Any]) -> tuple[list[Object], bool]:
        try:
            return self._asked(partial(self._wire.entries, narrowed))
        except stripe.InvalidRequestError as error:
            is_first = narrowed["starting_after"] is None
            if "payout" in narrowed and is_first and code_of(error) == _NO_SUCH_PAYOUT:
                return [], False
            raise RecordsUnavailable(code_of(error) or "invalid_request") from None

    def _asked(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a read, repeated while it may yet succeed. Raises RecordsUnavailable, and
        stripe.InvalidRequestError."""
        for pause_s in (*PAUSES_S, None):
            try:
                return self._wire.run(call, deadline_s=DEADLINE_S)
            except stripe.StripeError as error:
                outcome = outcome_of(error, COMMON)
                is_refused = isinstance(error, stripe.InvalidRequestError)
                if is_refused and not isinstance(outcome, Unavailable):
                    raise
            except (KeyError, TypeError, ValueError, AttributeError):
                outcome = Unknown("unreadable_answer")
            reason = getattr(outcome, "reason", "")
            if pause_s is None or getattr(outcome, "needs_operator", False):
                break
            wait_s = getattr(outcome, "retry_after_s", None) or pause_s
            self._sleep(min(wait_s, PAUSE_MAX_S))
        raise RecordsUnavailable(reason)

    def _again(self, call: Callable[[], Awaitable[T]]) -> T:
        """Another read that a listed line needs. Raises RecordsUnavailable."""
        try:
            return self._asked(call)
        except stripe.InvalidRequestError as error:
            raise RecordsUnavailable(code_of(error) or "invalid_request") from None

    def _record(self, entry: Object, payout_id: str | None) -> Record | None:
        """A line as a record; None: another line includes it."""
        about = entry.get("source")  # expanded
        source: Object = about if isinstance(about, Mapping) else {"object": None, "id": about}
        category = entry["reporting_category"]
        is_converted = entry["currency"] != source.get("currency")
        if category == _LET_GO_OF and not is_converted:
            return None  # included in its charge's line, where it reduces the net
        kind = self._kind(category, source)
        reference = source["id"] or entry["id"]
        if kind == "charge":
            reference = source.get("payment_intent") or reference
        currency = entry["currency"].upper()
        fee, net = (from_stripe(entry[part], currency) for part in ("fee", "net"))
        amount, of = abs(entry["amount"]), currency
        if kind in _ABOUT:
            amount, of = source["amount"], source["currency"].upper()
        if kind == "charge" and _is_in_parts(source):
            amount = self._of_part(entry, source) if is_converted else entry["amount"]
        elif source["object"] == "charge" and source.get("captured"):
            taken = source["amount_captured"]
            if not is_converted:
                net -= from_stripe(source["amount"] - taken, currency)
            amount = taken if kind == "charge" else amount
        return Record(
            id=entry["id"],
            reference=reference,
            kind=kind,
            state=_state(source) if kind in ("charge", "refund") else "succeeded",
            amount=from_stripe(amount, of),
            currency=of,
            moved_at=datetime.fromtimestamp(entry["created"], UTC),
            object_id=_our_id(source, kind),
            fee=fee,
            net=net,
            settlement_currency=currency,
            payout_id=payout_id,
        )

    def _of_part(self, entry: Object, source: Object) -> int:
        """The amount of one capture of several; it takes the other lines of the charge to compute
        it."""
        lines, _ = self._again(partial(self._wire.entries, {"source": source["id"]}))
        return amount_of(entry, [one for one in lines if one["reporting_category"] == "charge"])

    def _kind(self, category: str, source: Object) -> RecordKind:
        """The kind of a line; a line of another installation is none of our charges and refunds."""
        kind = _KINDS.get(category, "other")
        if kind in _ABOUT and (source["object"] != _ABOUT[kind] or self._is_anothers(source)):
            return "other"
        return kind

    def _is_anothers(self, source: Object) -> bool:
        """A refund that was made in the dashboard carries no name; its charge does."""
        if source["object"] == "refund" and not {REFUND_ID, INSTALLATION} & {*metadata_of(source)}:
            refund = self._again(partial(self._wire.refund, source["id"]))
            return self._owner.is_anothers(refund.get("payment_intent") or {})
        return self._owner.is_anothers(source)


def _is_in_parts(charge: Object) -> bool:
    """Whether each of its captures has its own line ("multicapture"), with just its amount."""
    card: Object = (charge.get("payment_method_details") or {}).get("card") or {}
    return bool((card.get("multicapture") or {}).get("status") == "available")


def _our_id(source: Object, kind: RecordKind) -> str | None:
    if kind == "charge":
        return our_id(source, CHARGE_ID, PREFIXES["charge"])
    return our_id(source, REFUND_ID, PREFIXES["refund"]) if kind in _ABOUT else None


def _state(source: Object) -> Any:
    """The state of a line's charge or refund. A refund that the bank has returned did go out: its
    way back is a line of its own."""
    status = source["status"]
    if source["object"] == "refund":
        return "pending" if status in ("pending", "requires_action") else "succeeded"
    return status if status in ("pending", "failed") else "succeeded"
