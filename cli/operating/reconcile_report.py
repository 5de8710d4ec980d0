"""What a reconciliation found: a table for people, JSON lines or CSV for programs."""

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cli import output, tables

if TYPE_CHECKING:
    from payments.audit.reconcile.differences import Difference
    from payments.audit.reconcile.pair_judging import Tally
    from payments.audit.reconcile.runs import Run

COLUMNS = ("code", "id", "processor_reference", "detail", "advice")
CSV_COLUMNS = (
    "code", "kind", "id", "processor_reference", "our_amount", "our_currency", "our_state",
    "their_amount", "their_currency", "their_state", "fee", "net", "settlement_currency",
    "moved_at", "payout_id", "repaired", "detail", "advice",
)  # fmt: skip


def tell(found: "Iterable[Difference]", *, as_csv: bool, as_json: bool) -> None:
    """The differences, as they are found: however many, they are never all in memory."""
    if as_csv:
        from payments.finance import spreadsheets

        sys.stdout.writelines(spreadsheets.lines(map(_cells, found), CSV_COLUMNS))
    elif as_json:
        for one in found:
            _print_line(one.view())
    else:
        tables.show_many(
            ({**one.view(), "id": one.object_id or one.reference} for one in found),
            COLUMNS,
            as_json=False,
            nothing="nothing differs",
        )


def sum_up(run: "Run", tally: "Tally", *, as_csv: bool, as_json: bool) -> None:
    """What it came to in all."""
    if as_json:
        _print_line({"object": "reconciliation", **_of_what(run), **tally.view()})
        return
    said = _in_words(run, tally)
    if as_csv:
        sys.stderr.write(f"{said}\n")
    else:
        output.console().print(f"\n{said}")


def _print_line(view: Any) -> None:
    sys.stdout.write(json.dumps(view, ensure_ascii=False) + "\n")


def _of_what(run: "Run") -> dict[str, Any]:
    from payments.views import moment

    return {
        "id": run.id,
        "processor": run.processor,
        "since": moment(run.since),
        "until": moment(run.until),
        "payout_id": run.payout_id,
        "records": run.records,
    }


def _in_words(run: "Run", tally: "Tally") -> str:
    of_what = (
        f"payout {run.payout_id}"
        if run.payout_id
        else f"{run.since:%Y-%m-%d %H:%M:%SZ} to {run.until:%Y-%m-%d %H:%M:%SZ}"
    )
    view = tally.view()
    compared = f"{view['compared']} charges and refunds compared: {view['agree']} agree"
    differ = f"{view['differences']} differences, {view['repaired']} of them repaired"
    lines = [
        f"{run.processor}, {of_what}, {run.records} records",
        f"{compared}, {view['pending']} pending",
        differ,
    ]
    if view["undecided"]:
        lines.append(
            f"{view['undecided']} began or changed too long outside of the period to be judged:"
            " a longer one decides"
        )
    if view["other_records"]:
        others = ", ".join(f"{count} {kind}" for kind, count in view["other_records"].items())
        lines.append(f"other records, which no charge or refund is behind: {others}")
    return "\n".join(lines)


def _cells(one: "Difference") -> dict[str, Any]:
    """A difference in one row; where there are several lines of theirs, the first one speaks."""
    view = one.view()
    ours, theirs = view["ours"] or {}, (view["theirs"] or [{}])[0]
    return {
        **{name: view[name] for name in ("code", "kind", "id", "processor_reference")},
        **{name: view[name] for name in ("repaired", "detail", "advice")},
        **{f"our_{name}": ours.get(name) for name in ("amount", "currency", "state")},
        **{f"their_{name}": theirs.get(name) for name in ("amount", "currency", "state")},
        **{name: theirs.get(name) for name in ("fee", "net", "settlement_currency")},
        **{name: theirs.get(name) for name in ("moved_at", "payout_id")},
    }
