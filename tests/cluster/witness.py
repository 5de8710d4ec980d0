"""Holds what was promised and what was heard against the tables, once all is over.

It knows nothing of ours but table and column names: what it believes stands in its own journal.
"""

import base64
import hashlib
import hmac
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.cluster.journal import Entry, Heard, Promise, Wish

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """All there is to know. `rows`: charges and refunds by id. `moved`: the processor's ledger."""

    entries: Sequence[Entry]
    rows: Mapping[str, Row]
    moved: Sequence[Row]
    secret: str


def findings(evidence: Evidence) -> list[str]:
    """What was promised and is not so; [] when every promise held."""
    return [
        f"{check.__name__.replace('_', ' ')}: {found}"
        for check in (
            nothing_accepted_is_lost,
            nothing_moves_twice,
            every_webhook_arrived,
            every_webhook_is_signed,
        )
        for found in check(evidence)
    ]


def nothing_accepted_is_lost(of: Evidence) -> Iterator[str]:
    """Each wish was accepted, always as one row, which is there, as asked, and final."""
    wishes = {one.key: one for one in of.entries if isinstance(one, Wish)}
    promised = defaultdict(set)
    for one in of.entries:
        if isinstance(one, Promise):
            promised[one.key].add(one.id)
    for key, wish in wishes.items():
        ids = promised[key]
        if len(ids) != 1:
            yield f"{key} was accepted as {sorted(ids) or 'nothing'}"
        for id_ in ids:
            row = of.rows.get(id_)
            if row is None:
                yield f"{id_} ({key}) was accepted and is not there"
            elif row["amount"] != wish.fields["amount"]:
                yield f"{id_} ({key}) is of {row['amount']}, not {wish.fields['amount']}"
            elif row["state"] not in ("succeeded", "failed"):
                yield f"{id_} ({key}) is still {row['state']} ({row['phase']})"


def nothing_moves_twice(of: Evidence) -> Iterator[str]:
    """The processor moved once what succeeded, nothing of what failed, and nothing else."""
    moves = defaultdict(list)
    for move in of.moved:
        moves[move["object_id"]].append(move["amount"])
    for id_, row in of.rows.items():
        right = [row["amount"]] if row["state"] == "succeeded" else []
        if moves.pop(id_, []) != right:
            yield f"{id_} is {row['state']} over {row['amount']}, and was not moved just so"
    for id_, amounts in moves.items():
        yield f"{id_} moved {amounts}, and there is no such row"


def every_webhook_arrived(of: Evidence) -> Iterator[str]:
    """What became of each row was told under the name of its state, and nothing else was."""
    told = defaultdict(set)
    for one in of.entries:
        if isinstance(one, Heard) and one.object_id:
            told[one.object_id].add(json.loads(one.body)["type"].partition(".")[2])
    for id_, row in of.rows.items():
        if told.pop(id_, set()) != {row["state"]}:
            yield f"{id_} is {row['state']}, and that was not what was told"
    for id_ in told:
        yield f"{id_} was told of, and is not there"


def every_webhook_is_signed(of: Evidence) -> Iterator[str]:
    """Each has our signature, and an event is the same each time it comes."""
    bodies = defaultdict(set)
    for one in of.entries:
        if isinstance(one, Heard):
            name = one.headers["webhook-id"]
            bodies[name].add(one.body)
            if signature(of.secret, one) not in one.headers["webhook-signature"].split(" "):
                yield f"{name} has another signature"
    for name, found in bodies.items():
        if len(found) > 1:
            yield f"{name} came with {len(found)} different bodies"


def signature(secret: str, heard: Heard) -> str:
    """That of Standard Webhooks, version 1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{heard.headers['webhook-id']}.{heard.headers['webhook-timestamp']}.{heard.body}"
    digest = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def sums(of: Evidence) -> dict[str, int]:
    """How much there was of everything."""
    kinds = Counter(type(one).__name__ for one in of.entries)
    wished = Counter(one.kind for one in of.entries if isinstance(one, Wish))
    events = {one.headers["webhook-id"] for one in of.entries if isinstance(one, Heard)}
    return {
        "charges": wished["charge"],
        "refunds": wished["refund"],
        "moves of money": len(of.moved),
        "events": len(events),
        "webhooks": kinds["Heard"],
    }
