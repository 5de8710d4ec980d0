"""The takings per day or month and currency, from the ledger: gross, refunds, disputes, fees, net,
payouts."""

from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import Connection, text

from payments.access.scopes import OPERATOR, Access
from payments.ledger.days import ENTRIES
from payments.payment_errors import InvalidRequest

Period = Literal["day", "month"]
PERIODS = get_args(Period)
DAYS_MAX = 366


@dataclass(frozen=True, slots=True)
class Takings:
    """Minor units of one currency, for a day or a month of UTC."""

    period: str
    currency: str
    # Taken by charges, and given back by refunds that have gone out.
    gross: int = 0
    refunds: int = 0
    # Taken back by banks, less what they returned.
    disputes: int = 0
    # Fees of processors, in their settlement currency.
    fees: int = 0
    # Converted from other currencies (above zero) or into them, if a processor settles in another
    # currency than the charge's.
    exchanged: int = 0
    payouts: int = 0

    @property
    def net(self) -> int:
        """The change of the balance at the processor, before payouts."""
        return self.gross - self.refunds - self.disputes - self.fees + self.exchanged

    def view(self) -> dict[str, Any]:
        """The takings for programs."""
        shown = {one.name: getattr(self, one.name) for one in fields(self)}
        payouts = shown.pop("payouts")
        return {**shown, "net": self.net, "payouts": payouts}


def takings(
    connection: Connection,
    period: Period,
    since: datetime,
    until: datetime,
    *,
    livemode: bool,
    access: Access = OPERATOR,
) -> list[Takings]:
    """The takings of each period between these moments of UTC (`until` exclusive), oldest first; of
    real money or of test money. Periods and currencies without any are left out.

    Raises InvalidRequest for more than DAYS_MAX days.
    """
    if since >= until:
        raise InvalidRequest("from must be before to, which is not included", param="from")
    if until - since > timedelta(days=DAYS_MAX):
        raise InvalidRequest(f"ask for at most {DAYS_MAX} days at a time", param="from")
    first, last = _whole_days(since, until)
    given = {
        "since": since,
        "until": until,
        "first": first,
        "last": last,
        "first_day": first.date(),
        "last_day": last.date(),
        "livemode": livemode,
        "producer": None if access.sees_all else access.producer,
    }
    sums: dict[tuple[str, str], dict[str, int]] = {}
    for row in connection.execute(_TAKINGS, given):
        kept = sums.setdefault((name_of(period, row.day), row.currency), dict.fromkeys(_SUMS, 0))
        for name in _SUMS:
            kept[name] += getattr(row, name)
    return [
        Takings(name, currency, **kept)
        for (name, currency), kept in sorted(sums.items())
        if any(kept.values())
    ]


def name_of(period: Period, day: date) -> str:
    """`2026-11-30`, or `2026-11`."""
    return day.isoformat() if period == "day" else day.isoformat()[:7]


def _whole_days(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The whole days between these two moments; the end twice if there are none."""
    first, last = _midnight(since), _midnight(until)
    if first == since:
        return first, last
    return (first + timedelta(days=1), last) if first < last else (until, until)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


_SUMS = ("gross", "refunds", "disputes", "fees", "exchanged", "payouts")
# By accounts alone: each posting changes two of them, and accounts that are neither taken nor given
# back are summed together. Whole days are read from their counts, plus the postings not counted
# yet; part of a day is read from postings. The uncounted ones are read separately, in the order of
# an index: the planner can't know how few they are, and would read all postings of the period
# instead.
_TAKINGS = text(f"""
    WITH uncounted AS MATERIALIZED (
        SELECT p.* FROM ledger_days_counted c CROSS JOIN LATERAL (
            SELECT * FROM ledger_postings WHERE at >= c.until ORDER BY at, id OFFSET 0
        ) p
    ), entries (day, book, kind, account, amount) AS (
        SELECT d.day, d.book, d.kind, d.account, d.amount FROM ledger_days d
        WHERE d.day >= :first_day AND d.day < :last_day
        UNION ALL
        SELECT CAST(p.effective_at AT TIME ZONE 'UTC' AS date), p.book, e.kind, e.account, e.amount
        FROM uncounted p {ENTRIES}
        WHERE p.effective_at >= :first AND p.effective_at < :last
        UNION ALL
        SELECT CAST(p.effective_at AT TIME ZONE 'UTC' AS date), p.book, e.kind, e.account, e.amount
        FROM ledger_postings p {ENTRIES}
        WHERE p.effective_at >= :since AND p.effective_at < least(:first, :until)
        UNION ALL
        SELECT CAST(p.effective_at AT TIME ZONE 'UTC' AS date), p.book, e.kind, e.account, e.amount
        FROM ledger_postings p {ENTRIES}
        WHERE p.effective_at >= greatest(:first, :last) AND p.effective_at < :until
    )
    SELECT e.day, b.currency,
        coalesce(-sum(e.amount) FILTER (WHERE kind = 'ch_' AND account IN (1, 3)), 0)::bigint
            AS gross,
        coalesce(sum(e.amount) FILTER (WHERE kind = 're_' AND account IN (1, 3, 6)), 0)::bigint
            AS refunds,
        coalesce(sum(e.amount) FILTER (WHERE kind = 'dp_' AND account IN (1, 5)), 0)::bigint
            AS disputes,
        coalesce(sum(e.amount) FILTER (WHERE account = 4), 0)::bigint AS fees,
        coalesce(-sum(e.amount) FILTER (WHERE account = 7), 0)::bigint AS exchanged,
        coalesce(sum(e.amount) FILTER (WHERE account = 8), 0)::bigint AS payouts
    FROM entries e JOIN ledger_books b ON b.id = e.book
    WHERE b.livemode = :livemode AND (CAST(:producer AS text) IS NULL OR b.producer = :producer)
    GROUP BY e.day, b.currency
""")  # noqa: S608  # composed of constants only
