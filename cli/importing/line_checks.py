"""The first pass through a file: every line is checked before any is sent."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from cli.importing.lines import FileRefused
from cli.importing.refused import RefusedLines
from cli.importing.source import Checked, Refusal, Source
from cli.importing.tally import Tally
from infra.billing.contract.requests.by_kind import Request
from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.intake import judging
from payments.payment_errors import Refused
from payments.processors.processor_limits import ANYTHING

T = TypeVar("T")

BATCH = 500
# How many keys of a file are remembered, in some 30 MB. Beyond them, a key with two different
# requests is found when the second is sent.
KEYS_MAX = 100_000

# Ids → the fingerprints of those that are in the database.
Known = Callable[[Sequence[str]], Mapping[str, str]]
# Raises Refused for a new request that breaks today's rules, or its processor's limits.
Judge = Callable[..., None]
BY_THE_RULES: Judge = partial(judging.judge, processor="", limits=ANYTHING)
# Names of prices → why those that take no charges don't.
NotForSale = Callable[[Sequence[str]], Mapping[str, Refused]]


def check(
    source: Source,
    refused: RefusedLines,
    *,
    known: Known | None = None,
    not_for_sale: NotForSale | None = None,
    judge: Judge = BY_THE_RULES,
    advance: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Check every line and write down what is refused; with `known` and `not_for_sale`, against
    the database, too: all but whether there is enough in stock. `judge` knows what the processor
    takes.

    Raises FileRefused for a file of which nothing may be sent.
    """
    tally, keys = Tally(), Keys()
    for some in in_batches(source.read(), BATCH):
        before = known([one.request.id for one in some if one.request]) if known else {}
        unsold = not_for_sale(_prices_of(some, before)) if not_for_sale else {}
        for one in some:
            refusal = (
                one.refusal
                or _against(one, before, judge)
                or keys.refusal(one)
                or _used_before(one, before)
                or _unsold(one, before, unsold)
            )
            if refusal is not None:
                refused.add(one, refusal)
                tally.refuse(one.line.number, refusal)
            elif one.request is not None:
                tally.expect(one.request)
        advance(len(some))
    return tally


class Keys:
    """The keys and the references of a file, and the request under each."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[str, int]] = {}
        self._charged: dict[str, tuple[str, int]] = {}

    def refusal(self, one: Checked) -> Refusal | None:
        """Why this line is refused if an earlier one asks for something else under its key, or for
        another charge of its order."""
        # One that today's rules speak against can only be a repeat; it is in no other's way.
        if one.request is None or one.request.against is not None:
            return None
        return self._of_key(one, one.request) or self._of_reference(one, one.request)

    def _of_reference(self, one: Checked, request: Request) -> Refusal | None:
        reference = getattr(request, "reference", None)
        if reference is None:
            return None
        if len(self._charged) < KEYS_MAX:
            self._charged.setdefault(reference, (request.id, one.line.number))
        id_, number = self._charged.get(reference, (request.id, 0))
        if id_ == request.id:
            return None
        # Both would be pending at once, and which of them was refused would be chance.
        return Refusal(f"its reference stands in line {number}, with another key", "reference")

    def _of_key(self, one: Checked, request: Request) -> Refusal | None:
        if one.key is not None:  # made keys are all different
            return None
        asked = request.fingerprint, one.line.number
        if len(self._asked) < KEYS_MAX:
            self._asked.setdefault(request.id, asked)
        first = self._asked.get(request.id, asked)
        if first[0] == asked[0]:
            return None
        return Refusal(
            f"its idempotency_key stands in line {first[1]}, with another request",
            "idempotency_key",
        )


def _used_before(one: Checked, before: Mapping[str, str]) -> Refusal | None:
    """Why this line is refused if its key was used for a different request.

    If the key was made from the line's number, lines have moved since the file was imported:
    sending the others would charge a customer twice. (As long as all imported lines are in their
    places, everything else in the file is new.)
    """
    if one.request is None or before.get(one.request.id) in (None, one.request.fingerprint):
        return None
    if one.key is None:
        return Refusal("its idempotency_key was used before for another request", "idempotency_key")
    raise FileRefused(
        f"line {one.line.number} is not what it was when a file of this name was imported, so lines"
        " can't be told by their numbers. Put back what was imported and add new lines at the end,"
        " give each line an idempotency_key, or rename the file if all of it is new"
    )


def _against(one: Checked, before: Mapping[str, str], judge: Judge) -> Refusal | None:
    """Why this line is refused if it is new, and today's rules or the processor speak against it.
    What a price or a refund comes to is known when it is sent."""
    if one.request is None or one.request.id in before:
        return None
    amount, currency = None, None
    if isinstance(one.request, ChargeRequest):
        amount, currency = one.request.amount, one.request.currency
    try:
        judge(one.request, amount=amount, currency=currency)
    except Refused as against:
        return Refusal(str(against), against.param)
    return None


def _prices_of(some: Sequence[Checked], before: Mapping[str, str]) -> list[str]:
    """The prices that lines name which have not been sent yet."""
    new = (one.request for one in some if one.request and one.request.id not in before)
    return [one.price_id for one in new if isinstance(one, ChargeRequest) and one.price_id]


def _unsold(
    one: Checked, before: Mapping[str, str], unsold: Mapping[str, Refused]
) -> Refusal | None:
    if not isinstance(one.request, ChargeRequest) or one.request.id in before:
        return None
    refused = unsold.get(one.request.price_id or "")
    return None if refused is None else Refusal(str(refused), refused.param)


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of up to `size`."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
