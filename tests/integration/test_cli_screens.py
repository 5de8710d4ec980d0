"""What people see on terminals of 80 and 120 columns: whole ids, whole words."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from rich.cells import cell_len
from sqlalchemy import Engine

from cli.payments import charge_commands
from cli.webhooks import delivery_commands
from payments.audit.reconcile.differences import LEFT, Code
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.reconciling import an_hour_passes, lately
from tests.support.terminal import Screen, seen
from tests.support.webhooks import an_endpoint, events_happen

WIDTHS = (80, 120)
ID = re.compile(r"\b(?:ch|re|price|prod|rej|we|del)_[a-z2-7]{32}\b")
AMOUNT = Code.AMOUNT_DIFFERS
LISTS = ("price", "charge", "refund", "rejected", "product", "currency", "endpoint", "quarantine")
# What costs and moments are shortened to, and a moment that is told as it is asked for.
IN_BRIEF = re.compile(
    r"graduated,|[23]|tiers|from|7\.00|USD,|\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d(\.\d+)?)?Z?"
)
TIERS = [
    {"up_to": 5, "unit_amount": 700},
    {"up_to": 10, "unit_amount": 650, "flat_amount": 100},
    {"up_to": "inf", "unit_amount": 600},
]

Look = Callable[..., Screen]


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    """The service that works on what the commands wrote."""
    with counter(engine) as till:
        yield till


@pytest.fixture
def look(environ: dict[str, str]) -> Look:
    """`look(80, "charge", "list")`: what stands in a terminal of that width then."""

    def look(columns: int, *arguments: str) -> Screen:
        return seen(environ, columns, *arguments)

    return look


@pytest.fixture
def some_of_all(till: Counter, engine: Engine) -> None:
    """Something to see in every list."""
    recurring = {"interval": "month", "interval_count": 3, "usage_type": "metered"}
    till.price(
        lookup_key="seats-2026",
        unit_amount=None,
        tiers=TIERS,
        tiers_mode="graduated",
        recurring=recurring,
    )
    till.price(lookup_key="tea", quantity_available=50)
    paid = till.buy("tea", 2, reference="order-1001")
    till.charge(payment_method_id="pm_sandbox_requires_action", reference="order-1002")
    till.charge(payment_method_id="pm_card_chargeDeclinedInsufficientFunds")
    till.refund(paid["id"], amount=500)
    till.refund(paid["id"])
    fields = {"amount": 19.99, "currency": "USD", "idempotency_key": "a", "producer": "shop"}
    till.refuse(fields, task_id="task-1")
    till.refuse({"amount": 5, "idempotency_key": "b"}, task_id="task-2")
    an_endpoint(engine, "https://hooks.shop.example/billing/webhooks/of/all/kinds")
    till.query(
        "INSERT INTO quarantined_messages (queue, reason, sha256, size, raw)"
        " VALUES ('payments', 'unknown task', repeat('a', 64), 1, 'x')"
    )


def is_whole(screen: Screen, columns: int, whole: str) -> None:
    """No line is wider than the terminal, which would break it, and no word is broken by us."""
    assert screen.code == 0, screen
    assert max(map(cell_len, screen.lines)) <= columns, screen.text
    assert set(ID.findall(screen.text)) == set(ID.findall(whole))
    new = set(screen.text.split()) - set(whole.split())
    assert not [word for word in new if not IN_BRIEF.fullmatch(word)], screen.text
    assert not [line for line in screen.lines if line != line.rstrip()]


@pytest.mark.usefixtures("some_of_all")
def test_every_list_is_a_table_on_a_terminal_of_80_columns(billing: Billing, look: Look) -> None:
    for noun in LISTS:
        screen, whole = look(80, noun, "list"), billing(noun, "list").out.splitlines()
        assert screen.code == 0, screen
        assert max(map(cell_len, screen.lines)) <= 80, screen.text
        shown, note = screen.lines[1 : len(whole)], screen.lines[len(whole) :]  # a line for each
        assert not note or note[0].startswith("not shown at this width: "), screen.text
        # Its id stays whole, so that it can be copied.
        ids = [next(iter(ID.findall(line)), line.split()[0]) for line in whole[1:]]
        assert [line.split()[0] for line in shown] == ids, screen.text
        assert not [line for line in screen.lines if line != line.rstrip()]


def test_deliveries_are_a_table_on_a_terminal_of_80_columns(
    billing: Billing, look: Look, engine: Engine
) -> None:
    endpoint = an_endpoint(engine, "https://hooks.shop.example/billing")
    events_happen(engine, 2)
    screen = look(80, "delivery", "list", endpoint.id)
    whole = billing("delivery", "list", endpoint.id).out
    assert max(map(cell_len, screen.lines)) <= 80, screen.text
    assert screen.lines[0].split() == list(delivery_commands.NARROW)
    assert ID.findall(screen.text) == [line.split()[0] for line in whole.splitlines()[1:]]


@pytest.mark.usefixtures("some_of_all")
def test_a_list_shows_more_where_there_is_room(look: Look) -> None:
    wide, narrow = look(120, "charge", "list").lines, look(80, "charge", "list").lines
    assert wide[0].split() == list(charge_commands.COLUMNS)
    assert [line[:3] for line in wide[1:]] == ["ch_"] * 3
    assert [line[-11:-8] for line in wide[1:]] == [" 20"] * 3  # the day: there is no room for more
    assert narrow[0].split() == list(charge_commands.NARROW)
    row = r"ch_\w{32}  [a-z]+ +[\d,.]+ USD  20\d\d-\d\d-\d\d \d\d:\d\dZ"
    assert all(re.fullmatch(row, line) for line in narrow[1:4])
    left_out = [name for name in charge_commands.COLUMNS if name not in charge_commands.NARROW]
    note = f"not shown at this width: {', '.join(left_out)}; --json has everything"
    assert " ".join(narrow[4:]) == note


@pytest.mark.usefixtures("some_of_all")
def test_where_not_even_that_fits_each_is_a_block(look: Look) -> None:
    blocks = "\n".join(look(50, "charge", "list").lines).split("\n\n")
    assert len(blocks) == 3
    for block in blocks:
        first, *rest = block.split("\n")
        assert re.fullmatch(r"charge_id        ch_\w{32}", first)
        assert re.fullmatch(
            r"created_at       20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ", " ".join(rest[-1:])
        )


def test_a_list_that_ends_early_says_so(billing: Billing, till: Counter) -> None:
    for _ in range(3):
        till.charge()
    short = billing("charge", "list", "--limit", "2")
    assert len(short.out.splitlines()) == 3
    assert short.err == "there are more than these 2: --limit 20 lists more of them\n"
    as_json = billing("charge", "list", "--limit", "2", "--json")
    assert len(as_json.json) == 2
    assert json.loads(as_json.err)["note"].startswith("there are more than these 2")
    assert billing("charge", "list", "--limit", "3").err == ""


@pytest.mark.usefixtures("some_of_all")
def test_tiers_are_summed_up_in_lists_and_told_whole_for_one(look: Look) -> None:
    listed, one = look(120, "price", "list"), look(80, "price", "get", "seats-2026")
    assert "graduated, 3 tiers, the first at 7.00 USD" in listed.text
    costs = "costs               graduated"
    assert f"{costs}: up to 5 at 7.00 USD each; up to 10 at 6.50 USD" in one.lines
    assert f"{' ' * 20}each and 1.00 USD flat; more at 6.00 USD each, every 3" in one.lines


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.usefixtures("some_of_all")
def test_a_story_is_wrapped_at_spaces_below_its_text(
    billing: Billing, look: Look, columns: int
) -> None:
    (one,) = billing("charge", "list", "--reference", "order-1001", "--json").json
    screen = look(columns, "explain", one["charge_id"])
    whole = billing("explain", one["charge_id"]).out
    is_whole(screen, columns, whole)
    first, *lines = screen.lines
    assert first == one["charge_id"]
    assert all(re.match(r"  20[\d-]{8} [\d:.]{12}Z  \S| {28}\S", line) for line in lines)


def test_a_pipe_gets_a_line_per_object_however_long(billing: Billing, till: Counter) -> None:
    till.refuse({"amount": 5, "idempotency_key": "b", "x" * 100: 1}, task_id="task-1")
    many = [{"up_to": n, "unit_amount": 700 - n} for n in range(1, 60)]
    till.price(
        unit_amount=None,
        tiers=[*many, {"up_to": "inf", "unit_amount": 1}],
        tiers_mode="volume",
    )
    for noun in ("price", "rejected"):
        lines = billing(noun, "list").out.splitlines()
        assert len(lines) == 2
        assert not [line for line in lines if line != line.rstrip()]
    assert "volume, 60 tiers, the first at 6.99 USD" in billing("price", "list").out


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_difference_is_told_whole_on_a_narrow_terminal(
    till: Counter, look: Look, engine: Engine, columns: int
) -> None:
    id_ = till.charge()["id"]
    till.query("UPDATE sandbox_ledger SET amount = 5")
    an_hour_passes(engine)
    screen = look(columns, "reconcile", *lately())
    assert screen.code == 1
    assert max(map(cell_len, screen.lines)) <= columns, screen.text
    told = " ".join(screen.text.split())
    for said in ("amount_differs", id_, "10.00 USD here, 0.05 USD there", LEFT[AMOUNT]):
        assert said in told, screen.text


def test_a_charge_that_was_captured_in_part_is_listed_with_both(
    till: Counter, billing: Billing
) -> None:
    id_ = till.charge(capture="manual", amount=1000)["id"]
    till.capture(id_, amount=300)
    assert "3.00 of 10.00 USD" in billing("charge", "list").out


def test_whatever_is_money_is_told_with_its_currency(till: Counter, billing: Billing) -> None:
    id_ = till.charge(amount=1000, payment_method_id="pm_sandbox_fees")["id"]
    till.query("UPDATE charges SET disputed_amount = 400")
    told = dict(line.split(None, 1) for line in billing("charge", "get", id_).out.splitlines())
    amounts = {name: told[name] for name in ("disputed_amount", "fee", "net")}
    assert amounts == {"disputed_amount": "4.00 USD", "fee": "0.59 USD", "net": "9.41 USD"}
