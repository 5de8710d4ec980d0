"""Takings and the ledger: what was taken, the balances, and whether the ledger is unchanged."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from api.console.door import app_state, moment_of, needing
from api.console.rendering import page
from api.console.session import Session
from payments.access.scopes import CHARGES_READ
from payments.audit import verify
from payments.audit.ledgered import CHAIN, LEDGER, WHOLE
from payments.audit.promises import Patience
from payments.audit.verify import Finding
from payments.finance.takings import PERIODS, Takings
from payments.finance.takings import takings as rules
from payments.ledger import entries
from payments.ledger.balances import Balance, balances
from payments.payment_errors import InvalidRequest

# Periods per page: as many as can be read while a person waits.
DAYS, MONTHS = 7, 3
BOOKS, SEALS = 25, 24
# How many postings are hashed again for a page, in some tens of milliseconds.
POSTINGS_MAX = 10_000
_MONEY = ("real", "test")


@needing(CHARGES_READ)
async def takings(request: Request, session: Session) -> Response:
    """What was taken per day or month and currency, newest first."""
    query = request.query_params
    period: Any = query.get("period") or "day"
    if period not in PERIODS:
        raise InvalidRequest(f"period must be one of {', '.join(PERIODS)}", param="period")
    is_live = _is_live(request)
    until = moment_of("to", query.get("to")) or _midnight(datetime.now(UTC)) + timedelta(days=1)
    until = until.astimezone(UTC)
    since = moment_of("from", query.get("from"))
    since = _before(period, until) if since is None else since.astimezone(UTC)

    def read(connection: Connection) -> list[Takings]:
        return rules(connection, period, since, until, livemode=is_live, access=session.access)

    found = await app_state(request).database.snapshot(read)
    return page(
        request,
        "takings.html",
        rows=[one.view() for one in reversed(found)],
        filters={
            "period": period,
            "from": query.get("from", ""),
            "to": query.get("to", ""),
            "money": _MONEY[not is_live],
        },
        periods=PERIODS,
        since=since,
        until=until,
        older={"period": period, "money": _MONEY[not is_live], "to": since.isoformat()},
    )


@needing(CHARGES_READ)
async def books(request: Request, session: Session) -> Response:
    """The balance of each account; and, with access to everything, the seals and whether they
    match."""
    query, here = request.query_params, app_state(request)
    at, is_live = moment_of("at", query.get("at")), _is_live(request)
    before = moment_of("seals", query.get("seals"))

    def read(
        connection: Connection,
    ) -> tuple[list[Balance], list[dict[str, Any]], list[Finding]]:
        found = balances(connection, at=at, access=session.access)
        if not session.access.sees_all:
            return found, [], []
        seals = entries.newest_seals(connection, SEALS + 1, before=before)
        again = entries.hold_again(connection, seals[:SEALS], postings_max=POSTINGS_MAX)
        whole = verify.check(connection, WHOLE, Patience(), here.statements)
        return found, [{**one, "holds": again.get(one["until"])} for one in seals], [whole]

    found, seals, looked_at = await here.database.snapshot(read)
    found = [one for one in found if one.livemode is is_live]
    kept = {"at": query.get("at", ""), "money": _MONEY[not is_live]}
    shown, next_cursor = _page_of(_by_book(found), query.get("cursor") or "")
    return page(
        request,
        "books.html",
        books=shown,
        next_cursor=next_cursor,
        sums=_sums(found),
        filters=kept,
        seals=seals[:SEALS],
        older_seals=seals[SEALS - 1]["until"].isoformat() if len(seals) > SEALS else None,
        broken=[one for one in seals[:SEALS] if one["holds"] is False],
        promises=[(one, _said(one.name, looked_at, seals[:SEALS])) for one in LEDGER],
    )


def _is_live(request: Request) -> bool:
    """Real money or test money; by default, what new charges move. Raises InvalidRequest."""
    asked = request.query_params.get("money") or _MONEY[not app_state(request).livemode]
    if asked not in _MONEY:
        raise InvalidRequest(f"money must be one of {', '.join(_MONEY)}", param="money")
    return asked == _MONEY[0]


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _before(period: str, until: datetime) -> datetime:
    """The beginning of a page that ends here."""
    try:
        if period == "day":
            return _midnight(until - timedelta(microseconds=1)) - timedelta(days=DAYS - 1)
        first = _midnight(until - timedelta(microseconds=1)).replace(day=1)
        for _ in range(MONTHS - 1):
            first = (first - timedelta(days=1)).replace(day=1)
    except OverflowError:
        raise InvalidRequest("to is too long ago", param="to") from None
    return first


def _by_book(found: Sequence[Balance]) -> list[tuple[str, list[Balance]]]:
    """The accounts of each book, by the name that the cursor of a page uses."""
    named = groupby(found, key=lambda one: "\n".join((one.producer, one.processor, one.currency)))
    return [(name, list(of_book)) for name, of_book in named]


def _page_of(
    found: Sequence[tuple[str, list[Balance]]], after: str
) -> tuple[list[list[Balance]], str | None]:
    left = sorted(one for one in found if one[0] > after)
    shown = left[:BOOKS]
    return [of_book for _, of_book in shown], shown[-1][0] if len(left) > BOOKS else None


def _sums(found: Sequence[Balance]) -> dict[str, dict[str, int]]:
    """Per currency: the sum of all accounts of a kind, and of all together."""
    sums: dict[str, dict[str, int]] = {}
    for one in found:
        of_currency = sums.setdefault(one.currency, {"all accounts": 0})
        name = one.account.name.lower()
        of_currency[name] = of_currency.get(name, 0) + one.balance
        of_currency["all accounts"] += one.balance
    return sums


def _said(name: str, looked_at: Sequence[Finding], seals: Sequence[dict[str, Any]]) -> str:
    """What this page has checked of a promise."""
    for one in looked_at:
        if one.invariant.name == name:
            if one.is_kept:
                return "kept"
            return "; ".join(f"{of.id}: {of.detail}" for of in one.offenders)
    if name == CHAIN.name:
        again = [one for one in seals if one["holds"] is not None]
        broken = sum(not one["holds"] for one in again)
        if broken:
            return f"{broken} of these seals BROKEN"
        if again:
            return f"{len(again)} of these seals: kept"
    return "not looked at"
