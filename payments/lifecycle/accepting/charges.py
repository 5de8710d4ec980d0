"""Accepting charges: every door calls this, except for charges over HTTP that one statement can
write (`at_once`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, literal, select

from infra.billing.contract.requests.charge_request import ChargeRequest
from models.base import as_rows, given, id_among
from models.rows import ChargeRow
from models.states import State
from payments.catalog.price_resolver import PriceResolver
from payments.catalog.quotes import Terms
from payments.intake.timing import ANY_TIME, objections
from payments.kinds import CHARGE
from payments.lifecycle.accepting.asked import Accepted, NewCharge, as_asked, judge_terms
from payments.lifecycle.accepting.charge_rows import columns, insert
from payments.lifecycle.accepting.pending_events import publish_pending
from payments.lifecycle.accepting.reuse import key_reused
from payments.lifecycle.claims import Claimed, charge_order
from payments.payment_errors import ReferenceInUse, Refused
from payments.processors.processor_limits import NO_LIMITS, MoneyLimits
from payments.transaction import Transaction

# TRIES: the charge that held a reference may have failed in the meantime, so each is tried twice.
# ROUNDS: a charge that blocked others that want stock may be refused; then they are tried again.
TRIES, ROUNDS = 2, 4


def accept(
    transaction: Transaction,
    new: Sequence[NewCharge],
    *,
    limits: Mapping[str, MoneyLimits] = NO_LIMITS,
) -> list[Accepted | Refused]:
    """Write the charges that are new, and answer each request in its place.

    The same key with the same request is the same charge; the same key with another request is
    refused (KeyReused), and so is a second open charge for one reference (ReferenceInUse). A charge
    by price costs what the price says, and reserves its stock from now on; it may be refused with
    PriceInactive, ProductInactive, InsufficientInventory or InvalidRequest. Only what is new is
    checked against today's rules (`payments.intake.judging`), its processor's `limits` (by name)
    and its own time limits (`payments.intake.timing`); a repeat is not. Requests of one call may
    repeat each other.
    """
    by_price = [n.request for n in new if n.request.price_id is not None]
    prices = PriceResolver(transaction, by_price) if by_price else None
    timings = {place: one.timing for place, one in enumerate(new) if one.timing != ANY_TIME}
    against = objections(transaction, timings, may_wait=True) if timings else {}
    against |= _judged(new, prices, limits)
    # Only now: a repeat that waited for the lock on the price must find the first request's charge,
    # and not be refused because that one has taken the last stock.
    ids = {one.id for one in by_price} | {new[place].request.id for place in against}
    batch = _Batch(transaction, prices, new, _read(transaction, ids) if ids else {})
    if against:
        batch.refuse_if_new(against)
    if by_price:
        batch.refuse_taken_references()
    for _ in range(ROUNDS):
        if not batch.offer():
            break
    if prices is not None:
        prices.close()
    if batch.fresh:
        publish_pending(transaction, CHARGE, batch.fresh.values())
        _wake(transaction, batch.fresh)
    return batch.answers()


def _judged(
    new: Sequence[NewCharge], prices: PriceResolver | None, limits: Mapping[str, MoneyLimits]
) -> dict[int, Refused]:
    """The refusals by today's rules, should the charges be new; by place."""
    against: dict[int, Refused] = {}
    for place, one in enumerate(new):
        terms = as_asked(one.request)
        if terms is None and prices is not None:
            terms = prices.comes_to(one.request)
        try:
            judge_terms(one if terms is None else one.in_currency(terms.currency), terms, limits)
        except Refused as refused:
            against[place] = refused
    return against


class _Batch:
    """The requests of one call: the rows written and the refusals, by place."""

    def __init__(
        self,
        transaction: Transaction,
        prices: PriceResolver | None,
        new: Sequence[NewCharge],
        rows: dict[str, ChargeRow],
    ) -> None:
        self.fresh: dict[str, ChargeRow] = {}
        self._transaction = transaction
        self._prices = prices  # None: no request is by price
        self._new = new
        self._rows = rows
        self._refusals: dict[int, Refused] = {}
        self._closed: set[int] = set()
        self._tries: dict[str, int] = {}
        # The references of the charges written here.
        self._references: set[tuple[str, str | None]] = set()

    def refuse_if_new(self, against: Mapping[int, Refused]) -> None:
        """Refuse these, unless they were accepted before."""
        for place, refused in against.items():
            if self._new[place].request.id not in self._rows:
                self._refusals[place] = refused
                self._closed.add(place)

    def refuse_taken_references(self) -> None:
        """Refuse charges by price whose reference is in use before stock is divided up, since they
        would block others for which there is enough."""
        asked = {
            place: one
            for place, one in enumerate(self._new)
            if one.request.price_id is not None
            and one.request.reference is not None
            and one.request.id not in self._rows
            and place not in self._closed
        }
        holders = _holders(self._transaction, list(asked.values())) if asked else {}
        for place, one in asked.items():
            if (one.request.producer, one.request.reference) in holders:
                self._refusals[place] = _reference_in_use(one, holders)
                self._closed.add(place)

    def offer(self) -> bool:
        """Write what can be written now; returns whether something is left that may fit later."""
        offers = self._offers()
        if not offers:
            return False
        for id_ in offers:
            self._tries[id_] = self._tries.get(id_, 0) + 1
        inserted = insert(self._transaction, list(offers.values()))
        if self._prices is not None:
            self._prices.take(inserted.values())
        self._references |= {(r.producer, r.reference) for r in inserted.values()}
        self.fresh |= inserted
        self._rows |= inserted
        others = offers.keys() - inserted.keys()
        if others:
            self._rows |= _read(self._transaction, others)
        # If all were written, what was not offered is still blocked by one of them; but charges by
        # price are answered with how much stock is left now.
        return bool(others) or self._prices is not None

    def _offers(self) -> dict[str, Mapping[str, Any]]:
        """The rows that nothing rules out, one for each id and each reference."""
        if self._prices is not None:
            self._prices.divide()
        offers: dict[str, Mapping[str, Any]] = {}
        references = set(self._references)
        for place, one in enumerate(self._new):
            request = one.request
            if request.id in self._rows or request.id in offers or place in self._closed:
                continue
            if self._tries.get(request.id, 0) == TRIES:
                continue
            reference = request.reference and (request.producer, request.reference)
            if reference in references:
                continue
            try:
                terms = as_asked(request) or self._by_price(request)
            except Refused as refused:
                self._refusals[place] = refused
                continue
            self._refusals.pop(place, None)
            offers[request.id] = columns(one.in_currency(terms.currency), terms)
            if reference:
                references.add(reference)
        return offers

    def _by_price(self, request: ChargeRequest) -> Terms:
        assert self._prices is not None  # a request without an amount names a price
        return self._prices.terms(request)

    def answers(self) -> list[Accepted | Refused]:
        """The answers, each in its place."""
        left = [
            one
            for place, one in enumerate(self._new)
            if one.request.id not in self._rows and place not in self._refusals
        ]
        holders = _holders(self._transaction, left) if left else {}
        first = set(self.fresh)
        return [self._answer(place, one, holders, first) for place, one in enumerate(self._new)]

    def _answer(
        self,
        place: int,
        one: NewCharge,
        holders: Mapping[tuple[str, str | None], str],
        first: set[str],
    ) -> Accepted | Refused:
        id_ = one.request.id
        row = self._rows.get(id_)
        if row is None:
            return self._refusals.get(place) or _reference_in_use(one, holders)
        if row.fingerprint != one.request.fingerprint:
            # Of two different requests under one key, one may have been refused for itself.
            return self._refusals.get(place) or key_reused(one.request, row, charge_id=id_)
        if one.lease is not None and row.lease_token == one.lease.token:
            claimed = Claimed(CHARGE, row, one.lease.token, charge_order(row), row.processor)
            return Accepted(row, fresh=True, claimed=claimed)
        fresh = one.lease is None and id_ in first
        first.discard(id_)
        return Accepted(row, fresh=fresh)


def _read(transaction: Transaction, ids: set[str]) -> dict[str, ChargeRow]:
    rows = transaction.read(ChargeRow, _READ, {"ids": sorted(ids)})
    return {row.id: row for row in rows}


def _wake(transaction: Transaction, inserted: Mapping[str, ChargeRow]) -> None:
    """Note the charges that are due and not claimed yet."""
    transaction.wakes.charges.update(
        id_
        for id_, row in inserted.items()
        if row.lease_token is None
        and row.next_attempt_at is not None
        and row.next_attempt_at <= row.now
    )


def _holders(
    transaction: Transaction, refused: Sequence[NewCharge]
) -> dict[tuple[str, str | None], str]:
    """Which charges have the references that these requests ask for."""
    wanted = [{"producer": n.request.producer, "reference": n.request.reference} for n in refused]
    rows = transaction.read(ChargeRow, _HOLDERS, {"wanted": as_rows(wanted)})
    return {(row.producer, row.reference): row.id for row in rows}


def _reference_in_use(
    one: NewCharge, holders: Mapping[tuple[str, str | None], str]
) -> ReferenceInUse:
    # The charge that had it may have failed a moment ago; then there is none to name.
    holder = holders.get((one.request.producer, one.request.reference))
    return ReferenceInUse(
        "another pending or succeeded charge has this reference; "
        "use its idempotency key to repeat it, or another reference for another order",
        param="reference",
        **({"charge_id": holder} if holder else {}),
    )


# --- The statements, built once ---

_t = CHARGE.table
_READ = select(_t, func.now().label("now")).where(id_among(_t.c.id))
_wanted = given("wanted", [_t.c.producer, _t.c.reference])
_HOLDERS = select(_t.c.id, _t.c.producer, _t.c.reference).where(
    _t.c.producer == _wanted.c.producer,
    _t.c.reference == _wanted.c.reference,
    # Written out, to match the partial unique index.
    _t.c.reference.is_not(None),
    _t.c.state != literal(State.FAILED.value, literal_execute=True),
)
