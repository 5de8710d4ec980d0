"""Reconciliation at scale: a day of records with planted differences, found by the real command.

`python -m benchmarks.reconcile`: 100,000 records in a throwaway PostgreSQL, 50 of each difference
among them; with `--at stripe`, on Stripe's adapter and a stand-in for Stripe. It fails unless
`billing reconcile` finds these and no other, and tells how long that took and how much memory.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import md5
from itertools import islice
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, text

from benchmarks.stripe_books import hand_over
from local.embedded import throwaway
from payments.processors.port import Record
from payments.processors.sandbox import Sandbox
from service import wiring
from service.database import migrate
from service.database.database_limits import BOOKS
from service.wiring import open_database

SINCE = datetime(2026, 11, 20, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)
PERIOD = ("--from", SINCE.isoformat(), "--to", UNTIL.isoformat())
WRONG_FEES = "BENCH_WRONG_FEES"  # in the environment of the command: the file of their ids
Planted = Mapping[str, set[str]]


class At(StrEnum):
    SANDBOX = "sandbox"
    STRIPE = "stripe"


def main(
    records: Annotated[int, typer.Option(min=1000, help="How many.")] = 100_000,
    each: Annotated[int, typer.Option(min=1, help="Of each difference.")] = 50,
    at: Annotated[At, typer.Option(help="Whose adapter lists them.")] = At.SANDBOX,
) -> None:
    """Measures a reconciliation, and holds what it found against what was planted."""
    with throwaway.servers(durable=True) as servers, tempfile.TemporaryDirectory() as folder:
        url = servers.postgres.url_of("postgres")
        engine = open_database(url, limits=BOOKS)
        migrate.upgrade(engine)
        journal, fees = Path(folder, "stripe.jsonl"), Path(folder, "fees.json")
        with engine.begin() as connection:
            fill(connection, records)
            planted = plant(connection, records, each)
            if at is At.STRIPE:
                hand_over(connection, journal, wrong_fees=planted["fee_differs"])
        engine.dispose()
        fees.write_text(json.dumps(sorted(planted["fee_differs"])))
        environ = {**os.environ, "BILLING_DATABASE_URL": url, WRONG_FEES: str(fees)}
        with stripe_door(journal) if at is At.STRIPE else nullcontext({}) as more:
            answer, took_s, peak_mb = _measured({**environ, **more})
    print(answer.stderr, end="")
    *found, total = map(json.loads, answer.stdout.splitlines())
    if answer.returncode != 1 or by_code(found) != planted:
        raise SystemExit("what was found is not what was planted")
    print(f"{total['records']} records, {len(found)} differences found, and no other")
    print(f"{took_s:.1f} s, at most {peak_mb:.0f} MiB of memory")


def _measured(environ: Mapping[str, str]) -> tuple[subprocess.CompletedProcess[str], float, float]:
    """What the command says, how long it takes (s), and how much memory (MiB)."""
    command = [sys.executable, "-m", "benchmarks.reconcile", "command", *PERIOD, "--json"]
    start_s = time.perf_counter()
    answer = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    took_s = time.perf_counter() - start_s
    # While its servers run: of their processes, too, the largest would count.
    return answer, took_s, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


@contextmanager
def stripe_door(journal: Path) -> Iterator[Mapping[str, str]]:
    """A stand-in for Stripe that goes on from this journal, as settings of the command."""
    command = [sys.executable, "-m", "cli", "stripe-door", "--port", "0", "--journal", str(journal)]
    door = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert door.stdout is not None
        found = re.search(r"http://\S+", door.stdout.readline())
        assert found is not None, "the door says where it is"
        yield {
            "BILLING_PROCESSORS": "stripe",
            "BILLING_STRIPE_API_KEY": "sk_test_of_the_door",
            "BILLING_STRIPE_API_BASE": found[0].rstrip(";"),
        }
    finally:
        door.terminate()
        door.wait()


def by_code(found: list[Any]) -> dict[str, set[str]]:
    """The ids of what differs, by code."""
    ids = defaultdict(set)
    for one in found:
        ids[one["code"]].add(one["id"])
    return dict(ids)


def charge_id(number: int | str) -> str:
    return "ch_" + md5(str(number).encode(), usedforsecurity=False).hexdigest().translate(_BASE32)


_BASE32 = str.maketrans("0189", "wxyz")
_ID = "translate(md5(n::text), '0189', 'wxyz')"


def fill(connection: Connection, records: int) -> None:
    """A day on which all went well, on both sides: nine charges, then a refund of one of them; and
    some at each edge that one side has in the day and the other outside of it."""
    connection.execute(text(_FILL.replace("ID", _ID)), {"n": records, "since": SINCE})
    connection.execute(text(_EDGES.replace("ID", _ID)), {"since": SINCE, "until": UNTIL})
    connection.execute(text(_REFUNDS.replace("ID", _ID)), {"n": records})


def plant(connection: Connection, records: int, each: int) -> Planted:
    """So many differences of each code, no two of one charge and none of one with a refund; their
    ids."""
    names = (
        "only_ours", "only_theirs", "amount_differs", "currency_differs", "state_differs",
        "fee_differs", "duplicate_at_processor",
    )  # fmt: skip
    candidates = [number for number in range(1, records) if 1 <= number % 10 <= 8]
    chosen = iter(Random(11).sample(candidates, each * len(names)))
    planted = {}
    for name in names:
        ids = [charge_id(number) for number in islice(chosen, each)]
        if name == "only_theirs":
            ids = [charge_id(f"stray {number}") for number in range(each)]
        for statement in _PLANT[name]:
            connection.execute(text(statement), {"ids": ids})
        planted[name] = set(ids)
    return planted


class WithFees(Sandbox):
    """The sandbox, when it takes 2.9 % and 30; of some it tells a wrong net."""

    wrong: frozenset[str] = frozenset()

    def records(
        self, since: datetime, until: datetime, *, after: str | None = None
    ) -> Iterator[Record]:
        for line in super().records(since, until, after=after):
            fee = line.amount * 29 // 1000 + 30 if line.kind == "charge" else 0
            wrong = 1 if line.object_id in self.wrong else 0
            yield replace(line, fee=fee, net=(line.net or 0) - fee - wrong)


def with_fees(wrong: frozenset[str]) -> Callable[[Any], WithFees]:
    """How such a sandbox is made, as `service.wiring` makes processors."""

    def make(settings: Any) -> WithFees:
        one = WithFees(wiring.open_sandbox(settings.database_url))
        one.wrong = wrong
        return one

    return make


def _command(arguments: list[str]) -> None:
    """`billing reconcile`, with that sandbox."""
    import cli

    wrong = frozenset(json.loads(Path(os.environ[WRONG_FEES]).read_text()))
    wiring.sandbox = with_fees(wrong)  # type: ignore[assignment]  # what makes the sandbox
    sys.argv = ["billing", "reconcile", *arguments]
    cli.main()


_CHARGES = """
    INSERT INTO charges (id, producer, idempotency_key, fingerprint, amount, currency, state,
        processor, processor_reference, sequence, first_called_at, created_at, settled_at)
    SELECT 'ch_' || ID, 'bench', 'order-' || n, 'f', 1000 + n % 1000, 'USD', 'succeeded',
           'sandbox', 'sbx_' || n, 2, called_at, called_at, settled_at
"""
_LEDGER = """
    INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency,
        moved_at)
"""
_MOVED = f"""
    {_LEDGER} SELECT 'ch_' || ID, 'ch_' || ID, 'sbx_' || n, 'charge', 1000 + n % 1000, 'USD',
                     moved_at
"""
_FILL = f"""
    WITH day AS (
        SELECT n, at - interval '200 ms' AS called_at, at AS moved_at,
               at + interval '100 ms' AS settled_at
        FROM (SELECT n, :since + interval '1 s' + n * interval '86390 s' / :n AS at
              FROM generate_series(1, :n) n WHERE n % 10 <> 0) of_the_day
    ), ours AS ({_CHARGES} FROM day) {_MOVED} FROM day
"""
# Each edge: called before it and moved behind it; moved before it and settled behind it; and a
# processor whose clock is three minutes ahead, or behind.
_EDGES = f"""
    WITH edge AS (
        SELECT row_number() OVER () + 100000000 AS n, at + called AS called_at,
               at + moved AS moved_at, at + settled AS settled_at
        FROM (VALUES (:since), (:until)) edges (at), generate_series(1, 25), (VALUES
            (interval '-1 s', interval '1 s', interval '2 s'),
            ('-1 s', '-10 ms', '10 ms'),
            ('-2 s', '3 min', '-1 s'),
            ('1 s', '-3 min', '2 s'),
            ('-3 days', '-2 s', '1 hour')
        ) moments (called, moved, settled)
    ), ours AS ({_CHARGES} FROM edge) {_MOVED} FROM edge
"""
_REFUNDS = f"""
    WITH back AS (
        SELECT n, c.id AS charge_id, c.settled_at AS at FROM generate_series(10, :n, 10) n
        JOIN charges c ON c.idempotency_key = 'order-' || (n - 1)
    ), ours AS (
        INSERT INTO refunds (id, producer, idempotency_key, fingerprint, charge_id, amount,
            reserved, currency, state, processor, processor_reference, sequence, first_called_at,
            created_at, settled_at)
        SELECT 're_' || ID, 'bench', 'back-' || n, 'f', charge_id, 100, true, 'USD', 'succeeded',
               'sandbox', 'sbx_' || n, 2, at, at, at + interval '100 ms' FROM back
    ), counted AS (
        UPDATE charges c SET refunded_amount = 100, refund_reserved = 100
        FROM back WHERE c.id = charge_id
    ) {_LEDGER} SELECT 're_' || ID, charge_id, 'sbx_' || n, 'refund', 100, 'USD', at FROM back
"""
_PLANT: Mapping[str, tuple[str, ...]] = {
    "only_ours": ("DELETE FROM sandbox_ledger WHERE object_id = ANY(:ids)",),
    "only_theirs": (
        f"""{_LEDGER} SELECT id, id, 'stray_' || id, 'charge', 1000, 'USD',
                (SELECT max(moved_at) - interval '1 day' FROM sandbox_ledger)
            FROM unnest(CAST(:ids AS text[])) id""",
    ),
    "amount_differs": (
        "UPDATE sandbox_ledger SET amount = amount + 1 WHERE object_id = ANY(:ids)",
    ),
    "currency_differs": ("UPDATE sandbox_ledger SET currency = 'EUR' WHERE object_id = ANY(:ids)",),
    # Of some nobody knows what became, some were given up.
    "state_differs": (
        """UPDATE charges SET state = 'pending', phase = 'needs_review', settled_at = NULL
           WHERE id = ANY(:ids)""",
        """UPDATE charges SET state = 'failed', phase = NULL, failure_code = 'resolved_failed',
               settled_at = created_at
           WHERE id = ANY(:ids) AND amount % 4 = 0""",
    ),
    "fee_differs": (),
    "duplicate_at_processor": (
        f"""{_LEDGER} SELECT object_id, charge_id, reference || '_again', direction, amount,
                currency, moved_at + interval '1 s'
            FROM sandbox_ledger WHERE object_id = ANY(:ids)""",
    ),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["command"]:
        _command(sys.argv[2:])
    else:
        typer.run(main)
