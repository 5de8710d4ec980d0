"""The sums of the demo: the file, our tables, the sandbox's ledger and the receiver compared."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Engine, func, select

from infra import billing
from local.demo.clients import Shops
from local.demo.figures import Check, Kill, Money, Stock
from local.demo.observer import Sight
from local.demo.receiver import Inbox
from local.demo.scenario import Scenario
from models import Attempt, Charge, Delivery, Event, Price, Refund, Reservation
from models.base import table_of
from models.states import State
from payments.audit.verify import is_sound, verify
from payments.processors.statements import Statements, Total, moved_twice, totals


def money(connection: Connection, statements: Statements) -> list[Money]:
    """Per currency, what moved by our tables and by processors' statements."""
    charged, refunded = (dict(connection.execute(query).tuples().all()) for query in _SUMS)
    ledger = totals(connection, statements)
    nothing = Total(0, 0, 0)
    sums = []
    for currency in sorted({*charged, *refunded, *ledger}):
        total = ledger.get(currency, nothing)
        sums.append(
            Money(
                currency,
                charged=int(charged.get(currency, 0)),
                charged_ledger=total.charged,
                refunded=int(refunded.get(currency, 0)),
                refunded_ledger=total.refunded - total.reversed,
            )
        )
    return sums


def stock(connection: Connection, scenario: Scenario) -> list[Stock]:
    """Per price, what became of its units by our tables, and what is left of them by the file."""
    rows = {row.lookup_key: row for row in connection.execute(_STOCK)}
    return [
        Stock(
            price.item,
            initial=rows[key].initial_quantity,
            sold=int(rows[key].sold),
            back=int(rows[key].back),
            left=rows[key].quantity_available,
            expected=scenario.left_of(price),
        )
        for key, price in scenario.prices.items()
    ]


def taken_over(connection: Connection) -> int:
    """How many charges and refunds a dead worker has left behind."""
    return connection.scalar(_TAKEN_OVER) or 0


def asked(scenario: Scenario) -> dict[str, tuple[int, int]]:
    """Per currency, what the file says will be charged and refunded, in minor units."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    given_back: dict[str, int] = defaultdict(int)
    makers = scenario.makers.values()
    charges = {m.key: m for m in makers if m.do == "charge" and m.ending == "succeeded"}
    amounts = {key: scenario.amount_of(charge) for key, charge in charges.items()}
    for key, charge in charges.items():
        sums[scenario.currency_of(charge)][0] += amounts[key]
    refunds = [m for m in makers if m.do == "refund" and m.ending == "succeeded"]
    # Those without an amount give back what the others have left.
    for refund in sorted(refunds, key=lambda one: one.amount is None):
        of, currency = refund.of or "", scenario.currency_of(refund)
        left = amounts[of] - given_back[of]
        amount = billing.minor(refund.amount, currency) if refund.amount else left
        given_back[of] += amount
        sums[currency][1] += amount
    return {currency: (charged, refunded) for currency, (charged, refunded) in sums.items()}


def checks(
    engine: Engine,
    *,
    statements: Statements,
    scenario: Scenario,
    shops: Shops,
    sight: Sight,
    inbox: Inbox,
    kill: Kill | None,
) -> list[Check]:
    """Everything that must be so at the end."""
    with engine.connect() as connection:
        moved = money(connection, statements)
        return [
            Check("every request ended as the file says", _unexpected(scenario, shops)),
            Check("no request was lost or invented", _uninvited(scenario, sight)),
            Check("the SDK knew every id beforehand", [line.key for line in shops.surprised]),
            Check(
                "our tables and the sandbox's ledger agree in every currency",
                [one.currency for one in moved if not one.agrees],
            ),
            Check(
                "and both with what the shops have asked for", _not_as_asked(asked(scenario), moved)
            ),
            Check(
                "no seat was sold twice, and what came back was for sale again",
                [one.item for one in stock(connection, scenario) if not one.agrees],
            ),
            Check("no money moved twice", moved_twice(connection, statements)),
            Check(
                "every webhook arrived, and every signature is right", _unheard(connection, inbox)
            ),
            Check("the receiver knows the last word on everything", _outdated(sight, inbox)),
            Check("what the killed worker had under way was settled by another", _orphaned(kill)),
            Check("billing verify finds every promise kept", _broken(engine, statements)),
        ]


def _unexpected(scenario: Scenario, shops: Shops) -> list[str]:
    return [
        f"{line.key or line.of}: {shops.ending_of(line) or 'nothing came of it'}, not {line.expect}"
        for line in scenario.lines
        if shops.ending_of(line) != line.expect
    ]


def _uninvited(scenario: Scenario, sight: Sight) -> list[str]:
    expected = {line.object_id: line.key for line in scenario.makers.values()}
    missing = [f"{key} is missing" for id_, key in expected.items() if id_ not in sight.objects]
    return missing + [f"{id_} came of nothing" for id_ in sight.objects if id_ not in expected]


def _not_as_asked(file: Mapping[str, tuple[int, int]], moved: Iterable[Money]) -> list[str]:
    tables = {one.currency: (one.charged, one.refunded) for one in moved}
    return [
        f"{currency}: {tables.get(currency)}, not {file.get(currency)}"
        for currency in sorted({*file, *tables})
        if file.get(currency) != tables.get(currency)
    ]


def _unheard(connection: Connection, inbox: Inbox) -> list[str]:
    told = connection.execute(select(_events.c.id, _events.c.type)).tuples().all()
    wrong = [f"{type_} ({id_}) did not arrive" for id_, type_ in told if id_ not in inbox.came]
    ids = {id_ for id_, _ in told}
    wrong += [f"{id_} was never told" for id_ in inbox.came - ids]
    if inbox.forged:
        wrong.append(f"{inbox.forged} signatures were wrong")
    undelivered = connection.scalar(_UNDELIVERED)
    if undelivered:
        wrong.append(f"{undelivered} deliveries are still open")
    return wrong


def _outdated(sight: Sight, inbox: Inbox) -> list[str]:
    wrong = []
    for id_, standing in sight.objects.items():
        heard = inbox.heard.get(id_)
        if heard is None or heard.last is None:
            wrong.append(f"{id_}: heard nothing")
        elif heard.last.data["state"] != standing.state:
            wrong.append(f"{id_}: heard {heard.last.data['state']}, it is {standing.state}")
        elif heard.sequences != set(range(1, heard.last.sequence + 1)):
            wrong.append(f"{id_}: heard only {sorted(heard.sequences)}")
    return wrong


def _orphaned(kill: Kill | None) -> Sequence[str]:
    if kill is None:
        return ["no worker was killed"]
    if kill.taken_over == 0:
        return ["it had nothing under way when it was killed"]
    if kill.restarted_after_s is None:
        return ["no other worker was started"]
    return [] if kill.settled_after_s is not None else ["some are still open"]


def _broken(engine: Engine, statements: Statements) -> list[str]:
    return [
        f"{finding.invariant.name}: {finding.broken} broken, such as {finding.offenders[:1]}"
        for finding in verify(engine, statements=statements)
        if not is_sound([finding])
    ]


_charges, _refunds, _events, _deliveries, _attempts = (
    table_of(model) for model in (Charge, Refund, Event, Delivery, Attempt)
)
_prices, _reservations = table_of(Price), table_of(Reservation)
_TAKEN_OVER = select(func.count(_attempts.c.object_id.distinct())).where(
    _attempts.c.outcome == "lease_expired"
)
_SUMS = tuple(
    select(table.c.currency, func.sum(table.c.amount))
    .where(table.c.state == State.SUCCEEDED.value)
    .group_by(table.c.currency)
    for table in (_charges, _refunds)
)
_STOCK = (
    select(
        _prices.c.lookup_key,
        _prices.c.initial_quantity,
        _prices.c.quantity_available,
        func.coalesce(
            func.sum(_reservations.c.quantity).filter(_reservations.c.state == "sold"), 0
        ).label("sold"),
        func.coalesce(func.sum(_reservations.c.restocked), 0).label("back"),
    )
    .outerjoin(_reservations, _reservations.c.price_id == _prices.c.id)
    .group_by(_prices.c.id)
)
_UNDELIVERED = (
    select(func.count()).select_from(_deliveries).where(_deliveries.c.state != "delivered")
)
