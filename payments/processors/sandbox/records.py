"""The sandbox's books as a list: a line per movement, and a daily payout.

It charges only the fees that it reports. What moved on a day (UTC) is paid out at midnight, one
payout per currency, whose id says which: `sbx_po_20261128_USD`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, String, bindparam, func, select

from models.base import table_of
from models.sandbox import SandboxMovement, SandboxRequest
from payments.processors.port import Record
from payments.processors.sandbox.aftermath import fees_of
from payments.processors.sandbox.sandbox_scripts import script_for

PAGE = 1_000
_PAYOUT = re.compile(r"sbx_po_([0-9]{8})_([A-Z]{3})")
_DAY = timedelta(days=1)
_LEDGER, _REQUESTS = table_of(SandboxMovement), table_of(SandboxRequest)
_CHARGES = _REQUESTS.alias("charges")
_LINES = (
    select(
        _LEDGER,
        func.now().label("now"),
        _CHARGES.c.reference.label("charge_reference"),
        _CHARGES.c.payment_method_id,
    )
    .outerjoin(
        _CHARGES,
        _LEDGER.c.direction.in_(["charge", "capture"])
        & (_CHARGES.c.key == _LEDGER.c.charge_id + ":charge"),
    )
    .where(
        _LEDGER.c.id > bindparam("after"),
        _LEDGER.c.moved_at >= bindparam("since"),
        _LEDGER.c.moved_at < bindparam("until"),
        func.coalesce(bindparam("only", type_=String), _LEDGER.c.currency) == _LEDGER.c.currency,
    )
    .order_by(_LEDGER.c.id)
    .limit(PAGE)
)


def lines(
    engine: Engine,
    since: datetime,
    until: datetime,
    *,
    after: str | None = None,
    only: str | None = None,
) -> Iterator[Record]:
    """What moved in that time, in the order of writing; `only` is a currency."""
    asked = {"since": since, "until": until, "only": only}
    last = int(after or 0)
    while True:
        with engine.connect() as connection:
            page = connection.execute(_LINES, {**asked, "after": last}).all()
        yield from map(_line, page)
        if len(page) < PAGE:
            return
        last = page[-1].id


def payout(engine: Engine, payout_id: str, *, after: str | None = None) -> Iterator[Record]:
    """The lines of a payout, and the payout itself last; nothing for a day that isn't over."""
    named = _PAYOUT.fullmatch(payout_id)
    if named is None or after == payout_id:
        return
    currency = named[2]
    try:
        day = datetime.strptime(named[1], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:  # the 31st of February
        return
    paid = 0
    for line in lines(engine, day, day + _DAY, only=currency):
        if line.payout_id is None:
            return
        paid += line.net or 0
        if after is None or int(line.id) > int(after):
            yield line
    if paid:
        yield Record(
            id=payout_id,
            reference=payout_id,
            kind="payout",
            state="succeeded",
            amount=abs(paid),
            currency=currency,
            moved_at=day + _DAY,
            fee=0,
            net=-paid,
            settlement_currency=currency,
            payout_id=payout_id,
        )


def _line(row: Any) -> Record:
    day = row.moved_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    is_capture = row.direction == "capture"  # a part of its charge
    is_paid_out = row.now >= day + _DAY
    fee = 0
    if row.direction == "charge" and script_for(row.payment_method_id).fees != "unsaid":
        fee = fees_of(row.amount, row.currency).fee
    return Record(
        id=str(row.id),
        reference=(row.charge_reference if is_capture else None) or row.reference,
        kind="charge" if is_capture else row.direction,
        state="succeeded",
        amount=row.amount,
        currency=row.currency,
        moved_at=row.moved_at,
        object_id=row.charge_id if is_capture else row.object_id,
        fee=fee,
        net=(-row.amount if row.direction == "refund" else row.amount) - fee,
        settlement_currency=row.currency,
        payout_id=f"sbx_po_{day:%Y%m%d}_{row.currency}" if is_paid_out else None,
    )
