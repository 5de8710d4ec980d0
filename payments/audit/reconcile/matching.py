"""Compares our row with the processor's records of it: pure, one pair at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from infra.billing.contract.failures import message_for
from models.states import State
from payments.amounts import in_words
from payments.audit.reconcile.differences import Code, Difference, Kind, Ours, in_sum
from payments.audit.reconcile.terms import GRACE, Terms
from payments.processors.outcomes import Declined, Succeeded
from payments.processors.port import Record


class Standing(StrEnum):
    """The result for a pair."""

    AGREES = "agrees"
    DIFFERS = "differs"
    # One side does not have it yet; not a difference, but counted.
    PENDING = "pending"
    # It extends beyond the records that were read: a longer period would decide it.
    UNDECIDED = "undecided"
    # Neither side has it in the period.
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Pair:
    """A charge or a refund: our row, and all lines of the processor about it."""

    kind: Kind
    ours: Ours | None
    theirs: Sequence[Record]

    @property
    def moved(self) -> list[Record]:
        """The lines by which money moved."""
        return [line for line in self.theirs if line.state == "succeeded"]


@dataclass(frozen=True, slots=True)
class Judgement:
    standing: Standing
    differences: tuple[Difference, ...] = ()


def judge(pair: Pair, terms: Terms) -> Judgement:
    """The result for the pair on these terms."""
    if not _is_concerned(pair, terms):
        return Judgement(Standing.ELSEWHERE)
    if pair.ours is None or pair.ours.processor != terms.processor:
        return _only_theirs(pair, terms)
    if not pair.theirs:
        return _only_ours(pair, pair.ours, terms)
    standing, state = _by_state(pair, pair.ours, terms)
    if standing is Standing.PENDING:
        return Judgement(standing)
    found = [*_by_money(pair, pair.ours, terms)]
    if state is not None:
        # No report can settle it if the wrong amount moved.
        found.insert(0, replace(state, remedy=None) if found else state)
    return Judgement(Standing.DIFFERS if found else standing, tuple(found))


def _is_concerned(pair: Pair, terms: Terms) -> bool:
    """A pair at the edge of two periods is judged in both, rather than in neither."""
    if any(terms.contain(line.moved_at) for line in pair.theirs):
        return True
    ours = pair.ours
    return ours is not None and (ours.settled_at is None or terms.contain(ours.settled_at))


def _only_theirs(pair: Pair, terms: Terms) -> Judgement:
    if not pair.moved:
        return Judgement(Standing.AGREES if _is_over(pair.theirs) else Standing.PENDING)
    if terms.is_young(_last(pair.moved)):
        return Judgement(Standing.PENDING)
    where = f"is at {pair.ours.processor} here" if pair.ours else "is not here"
    return _differs(pair, Code.ONLY_THEIRS, f"{in_sum(pair.moved)} moved there; it {where}")


def _only_ours(pair: Pair, ours: Ours, terms: Terms) -> Judgement:
    if ours.state == State.PENDING or terms.is_young(ours.settled_at):
        return Judgement(Standing.PENDING)
    if ours.state == State.FAILED:
        return Judgement(Standing.AGREES)
    if not terms.reach(ours.began_at):
        return Judgement(Standing.UNDECIDED)
    amount = in_words(ours.amount, ours.currency)
    return _differs(pair, Code.ONLY_OURS, f"{amount} moved, as we have it; not there")


def _by_state(pair: Pair, ours: Ours, terms: Terms) -> tuple[Standing, Difference | None]:
    """How the two sides compare, and the difference if there is one."""
    theirs = _state_of(pair)
    if ours.state == theirs:
        is_pending = theirs == State.PENDING
        return (Standing.PENDING if is_pending else Standing.AGREES), None
    captured = _of_captures(ours, pair.moved, terms)
    if captured is not None:
        return captured, None
    if _is_on_its_way(pair, ours, theirs, terms):
        return Standing.PENDING, None
    if (
        ours.kind == "refund"
        and ours.state == State.FAILED
        and terms.changed_since(ours.settled_at)
    ):
        return Standing.UNDECIDED, None  # the bank may have returned it since
    detail = f"{ours.phase or ours.state} here, {theirs} there"
    remedy = _remedy(pair, ours, theirs)
    return Standing.DIFFERS, _difference(pair, Code.STATE_DIFFERS, detail, remedy=remedy)


def _state_of(pair: Pair) -> State:
    """Its state at the processor, by the lines about it."""
    if any(line.kind == "reversal" for line in pair.moved):
        return State.FAILED
    if pair.moved:
        return State.SUCCEEDED
    return State.FAILED if _is_over(pair.theirs) else State.PENDING


def _of_captures(ours: Ours, moved: Sequence[Record], terms: Terms) -> Standing | None:
    """The result for a charge of which a part was captured and more may be; None: judge it like any
    other."""
    if not ours.by_hand or ours.state != State.PENDING:
        return None
    there = sum(line.amount for line in moved)
    if there < ours.moved and not _is_whole(ours, terms):
        return Standing.UNDECIDED  # Earlier or later captures are not among the records.
    return Standing.AGREES if there == ours.moved else None


def _is_whole(ours: Ours, terms: Terms) -> bool:
    """Whether all that ever moved of it would be among the records."""
    last = ours.settled_at or terms.started_at - GRACE
    return terms.reach(ours.began_at) and not terms.changed_since(last)


def _is_on_its_way(pair: Pair, ours: Ours, theirs: State, terms: Terms) -> bool:
    if ours.is_leased or terms.is_young(_last(pair.theirs)) or terms.is_young(ours.settled_at):
        return True
    return ours.state == State.FAILED and theirs == State.PENDING


def _remedy(pair: Pair, ours: Ours, theirs: State) -> Succeeded | Declined | None:
    """What may be applied as a report of the processor: that one movement is what we asked for, or
    that all of a refund came back. It moves no money, and the table of moves allows it."""
    if ours.by_hand or ours.state == State.FAILED:
        return None
    references = {line.reference for line in pair.moved}
    if len(references) != 1 or ours.reference not in (None, *references):
        return None
    (reference,) = references
    if theirs == State.SUCCEEDED:
        return Succeeded(reference)
    back = sum(line.amount for line in pair.moved if line.kind == "reversal")
    if ours.kind == "refund" and back == ours.amount:
        return Declined("refund_failed", "reversal", message_for("refund_failed"), reference)
    return None


def _by_money(pair: Pair, ours: Ours, terms: Terms) -> Iterator[Difference]:
    """What is wrong with the money that moved."""
    if not pair.moved:
        return
    out = [line for line in pair.moved if line.kind == ours.kind] or pair.moved
    reference = ours.reference or out[0].reference
    own = [line for line in out if line.reference == reference]
    more = [line for line in out if line.reference != reference]
    if more:
        detail = f"{in_sum(more)} moved again there, as {', '.join(_references(more))}"
        yield _difference(pair, Code.DUPLICATE_AT_PROCESSOR, detail)
    if any(line.currency != ours.currency for line in own):
        detail = f"{in_words(ours.amount, ours.currency)} here, {in_sum(own)} there"
        yield _difference(pair, Code.CURRENCY_DIFFERS, detail)
    elif own and _expected(ours, terms) not in (None, sum(line.amount for line in own)):
        detail = f"{in_words(_expected(ours, terms), ours.currency)} here, {in_sum(own)} there"
        yield _difference(pair, Code.AMOUNT_DIFFERS, detail)
    elif own and (fees := _other_fees(ours, own)) is not None:
        here = _fees_in_words(ours.fee, ours.net, ours.settlement_currency)
        yield _difference(pair, Code.FEE_DIFFERS, f"{here} here, {_fees_in_words(*fees)} there")
    for line in pair.moved:
        if not _adds_up(line):
            detail = (
                f"{in_words(line.amount, line.currency)} with a fee of"
                f" {in_words(line.fee, line.settlement_currency)} left"
                f" {in_words(line.net, line.settlement_currency)}"
            )
            yield _difference(pair, Code.FEE_DIFFERS, detail)


def _expected(ours: Ours, terms: Terms) -> int | None:
    """How much should have moved in all; None if that can't be known."""
    if not ours.by_hand:
        return ours.amount
    return ours.moved if ours.state == State.SUCCEEDED and _is_whole(ours, terms) else None


def _adds_up(line: Record) -> bool:
    """Whether the net amount is the amount less the fee; not checked across currencies."""
    if line.fee is None or line.net is None or line.settlement_currency != line.currency:
        return True
    signed = -line.amount if line.kind == "refund" else line.amount
    return line.net == signed - line.fee


def _other_fees(ours: Ours, own: Sequence[Record]) -> tuple[int, int, str | None] | None:
    """The fee and net amount in the processor's records, if they differ from what it reported.
    Records that contradict themselves are reported as that."""
    if not all(map(_adds_up, own)):
        return None
    fees = [(line.fee, line.net, line.settlement_currency) for line in own]
    if ours.fee is None or any(fee is None or net is None for fee, net, _ in fees):
        return None
    fee, net = sum(one[0] or 0 for one in fees), sum(one[1] or 0 for one in fees)
    there = (fee, net, fees[0][2])
    return None if there == (ours.fee, ours.net, ours.settlement_currency) else there


def _fees_in_words(fee: int | None, net: int | None, currency: str | None) -> str:
    return f"a fee of {in_words(fee, currency)} that leaves {in_words(net, currency)}"


def _is_over(lines: Sequence[Record]) -> bool:
    return all(line.state == "failed" for line in lines)


def _last(lines: Sequence[Record]) -> datetime:
    return max(line.moved_at for line in lines)


def _references(lines: Sequence[Record]) -> list[str]:
    return sorted({line.reference for line in lines})


def _differs(pair: Pair, code: Code, detail: str) -> Judgement:
    return Judgement(Standing.DIFFERS, (_difference(pair, code, detail),))


def _difference(
    pair: Pair, code: Code, detail: str, *, remedy: Succeeded | Declined | None = None
) -> Difference:
    named = next((line.object_id for line in pair.theirs if line.object_id), None)
    references = _references(pair.theirs)
    return Difference(
        code,
        pair.kind,
        pair.ours.id if pair.ours else named,
        (pair.ours and pair.ours.reference) or (references[0] if references else None),
        detail,
        pair.ours,
        pair.theirs,
        remedy,
    )
