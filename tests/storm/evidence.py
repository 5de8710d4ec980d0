"""What a finished storm leaves behind, in a folder: everything that the witness judges by.

The tables are read with SQL of the storm's own, whole, so that a column which somebody adds is
there, too. Nothing of ours is imported here: `python -m tests.storm judge FOLDER` works on a folder
from anywhere.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.storm import journal
from tests.storm.journal import Exchange

Row = dict[str, Any]

TABLES = (
    "charges",
    "refunds",
    "captures",
    "attempts",
    "events",
    "deliveries",
    "delivery_attempts",
    "webhook_endpoints",
    "prices",
    "reservations",
    "inventory_changes",
    "rejected_requests",
    "quarantined_messages",
    "sandbox_requests",
    "sandbox_ledger",
    "ledger_postings",
)


@dataclass
class Webhook:
    """One request that a receiver got, and the status that it answered with (None: it hung up)."""

    receiver: str
    headers: dict[str, str]
    body: str
    status: int | None


@dataclass
class Evidence:
    """`run` says how it went: seed, endpoints (with the secrets that were told), prices, when the
    calm began, and counts."""

    run: dict[str, Any]
    exchanges: list[Exchange]
    webhooks: list[Webhook]
    tables: dict[str, list[Row]]


def gather(folder: Path, rows: Callable[[str], list[Row]]) -> None:
    """Write all tables down. `rows` runs a statement."""
    tables = {}
    for name in TABLES:
        # As JSON from the database itself: no type of ours lies in between.
        tables[name] = [
            row["row"] for row in rows(f"SELECT to_jsonb(t) - 'raw' AS row FROM {name} t")
        ]
    (folder / "tables.json").write_text(json.dumps(tables))


def note(folder: Path, run: Mapping[str, Any]) -> None:
    """Write down how it went."""
    (folder / "run.json").write_text(json.dumps(run, indent=2))


def load(folder: Path) -> Evidence:
    """The evidence of a finished run."""
    lines = (folder / "webhooks.jsonl").read_text().splitlines()
    return Evidence(
        run=json.loads((folder / "run.json").read_text()),
        exchanges=journal.read(folder / "journal"),
        webhooks=[Webhook(**json.loads(line)) for line in lines if line],
        tables=json.loads((folder / "tables.json").read_text()),
    )
