"""The report: the figures of a demo as a person reads them, 80 columns wide."""

import sys
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from local.demo.figures import Figures, Money, Stock, decimal

PLAIN_WIDTH = 80  # in a file or a pipe, which have none of their own
WRONG_MAX = 8  # a person reads no more of one kind; `--json` has them all

ASKED = {
    "charges": "charges",
    "refunds": "refunds",
    "repeats": "repeats, same key",
    "conflicts": "contradictions",
    "bad_messages": "messages past the SDK",
    "stopped_by_the_sdk": "stopped by the SDK",
}
ENDINGS = {
    "succeeded": "succeeded",
    "failed": "failed",
    "needs_review": "left to a person",
    "rejected": "rejected, and told",
    "quarantined": "put into quarantine",
    "unsent": "never sent",
    "open": "still open",
}


def show(figures: Figures) -> None:
    """Print the report on stdout."""
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    console.print()
    console.print(_requests(figures))
    console.print()
    console.print(_money(figures.money))
    console.print()
    if figures.stock:
        console.print(_stock(figures.stock))
        console.print()
    for line in _sentences(figures):
        console.print(line)
    console.print()
    for check in figures.checks:
        console.print(f"[green]✓[/] {check.what}" if check.passed else f"[red]✗ {check.what}[/]")
        for wrong in check.wrong[:WRONG_MAX]:
            console.print(f"    {wrong}", markup=False)
        if len(check.wrong) > WRONG_MAX:
            console.print(f"    and {len(check.wrong) - WRONG_MAX} more")
    console.print()
    if figures.add_up:
        console.print(f"[bold green]everything adds up[/] ({figures.seconds:.0f} s)")
    else:
        failed = sum(not check.passed for check in figures.checks)
        console.print(f"[bold red]{failed} of {len(figures.checks)} checks failed[/]")


def _requests(figures: Figures) -> Table:
    """What was asked, beside what came of it, and why."""
    endings: dict[str, int] = {}
    why: dict[str, list[str]] = {}
    for ending, count in figures.endings.items():
        word, _, code = ending.partition(" ")
        endings[word] = endings.get(word, 0) + count
        if code and word in ("failed", "rejected"):
            why.setdefault(word, []).append(f"{code} {count}")
    asked, came = _two_columns("asked"), _two_columns("came of it")
    for name, count in figures.requests.items():
        if count:
            asked.add_row(ASKED[name], str(count))
    for word, count in sorted(endings.items(), key=lambda one: _place(one[0])):
        came.add_row(ENDINGS.get(word, word), str(count))
    side_by_side = Table.grid(padding=(0, 6))
    side_by_side.add_row(asked, came)
    whole = Table.grid()
    whole.add_row(side_by_side)
    for word, codes in sorted(why.items(), key=lambda one: _place(one[0])):
        whole.add_row(f"[dim]{word}: {', '.join(codes)}[/]")
    return whole


def _place(word: str) -> int:
    return [*ENDINGS].index(word) if word in ENDINGS else len(ENDINGS)


def _two_columns(title: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column(title, min_width=22)
    table.add_column("", justify="right", min_width=5)
    return table


def _money(money: Iterable[Money]) -> Table:
    """Money by our tables and by the ledger, side by side."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("money")
    for title in ("charged", "in the ledger", "refunded", "in the ledger"):
        table.add_column(title, justify="right")
    table.add_column("")
    for one in money:
        amounts = (one.charged, one.charged_ledger, one.refunded, one.refunded_ledger)
        table.add_row(
            one.currency,
            *(decimal(amount, one.currency) for amount in amounts),
            "[green]✓[/]" if one.agrees else "[red]✗[/]",
        )
    return table


def _stock(stock: Iterable[Stock]) -> Table:
    """What was there, and what became of it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("stock", min_width=29)
    for title in ("there were", "sold", "came back", "left"):
        table.add_column(title, justify="right")
    table.add_column("")
    for one in stock:
        counts = (one.initial, one.sold, one.back, one.left)
        sign = "[green]✓[/]" if one.agrees else "[red]✗[/]"
        table.add_row(one.item, *(str(count) for count in counts), sign)
    return table


def _sentences(figures: Figures) -> Iterable[str]:
    """What the tables don't show: webhooks, the killed worker, what is left to a person."""
    told, kill = figures.webhooks, figures.kill
    yield (
        f"webhooks  {told['events']} events, {told['verified']} signatures right, "
        f"{told['forged']} wrong"
    )
    yield (
        f"          {told['refused_once']} answered with 500 at first and sent again, "
        f"{told['repeated']} came twice"
    )
    if kill is not None:
        yield (
            f"worker    killed with {kill.in_flight} requests under way; the next one was ready "
            f"{_after(kill.restarted_after_s)}"
        )
        yield (
            f"          {kill.taken_over} leases ran out and were taken over, "
            f"the last settled {_after(kill.settled_after_s)}"
        )
    if figures.asked_again:
        yield f"          {figures.asked_again} requests heard nothing and were sent again"
    if "needs_review" in figures.endings:
        yield "review    outcomes that can't be found out are left to `billing resolve`"


def _after(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s later"
