"""The witness of a storm: holds every answer ever given against the final truth.

It believes neither our code, of which it imports nothing, nor any one of the three sides alone: the
journal of all questions and answers, the receivers' record of what was posted to them, and the
tables, the processor's ledger among them. Each check is a promise, and returns what breaks it.
"""

import base64
import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Any

from tests.storm.evidence import Evidence, Row, Webhook
from tests.storm.journal import Exchange
from tests.storm.names import id_of

KINDS = {"charge": "charge_id", "refund": "refund_id"}
# What never changes from the first answer on.
FIXED = {
    "charge": (
        "charge_id", "amount", "currency", "customer_id", "payment_method_id", "price_id",
        "quantity", "reference", "description", "metadata", "idempotency_key", "created_at",
        "producer", "capture",
    ),
    "refund": (
        "refund_id", "charge_id", "reason", "metadata", "idempotency_key", "created_at", "producer",
    ),
}  # fmt: skip
# What may be unknown at first, and is the same from then on.
ONCE_SET = {
    "charge": ("processor_reference", "failure_code", "settled_at"),
    "refund": ("amount", "currency", "processor_reference"),
}
RANK = {"pending": 0, "succeeded": 1, "failed": 2}
# What a door may say no to, by what was asked; all else is a refusal without a reason.
REFUSED_FOR = {
    "charge by amount": {"reference_in_use"},
    "charge by price": {"insufficient_inventory"},
    "refund": {
        "refund_exceeds_charge", "charge_not_refundable", "nothing_to_restock", "not_found",
    },
}  # fmt: skip
NEVER = {401, 403, 405, 500}


@dataclass(frozen=True, slots=True)
class Finding:
    """A promise that was broken, and how."""

    promise: str
    detail: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """An object as somebody was shown it; asked at `sent`, answered at `got`."""

    kind: str
    id: str
    view: dict[str, Any]
    sent: float
    got: float
    where: str


class Witness:
    """Evidence, indexed, and the checks over it."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.tables = evidence.tables
        self.exchanges = evidence.exchanges
        self.rows = {
            "charge": {row["id"]: row for row in self.tables["charges"]},
            "refund": {row["id"]: row for row in self.tables["refunds"]},
        }
        self.events = {row["id"]: row for row in self.tables["events"]}

    @cached_property
    def asks(self) -> dict[tuple[str, str, str], list[Exchange]]:
        """All asks of each producer, kind and key."""
        found = defaultdict(list)
        for one in self.exchanges:
            if "key" in one.asked and "producer" in one.asked:
                kind = one.asked.get("kind", one.did)
                found[one.asked["producer"], kind, one.asked["key"]].append(one)
        return found

    @cached_property
    def sightings(self) -> list[Sighting]:
        """Every object in every answer, in every page and in every page of the feed."""
        found = []
        for one in self.exchanges:
            if one.got is None or one.did == "send" or not _ok(one.status):
                continue
            for view in _objects_in(one.body):
                kind = "refund" if "refund_id" in view else "charge"
                id_ = view[KINDS[kind]]
                found.append(Sighting(kind, id_, view, one.sent, one.got, f"{one.actor} {one.did}"))
        return found

    def findings(self) -> list[Finding]:
        """Everything that is broken; [] when all holds."""
        return [
            Finding(name, detail)
            for name, check in CHECKS.items()
            for detail in list(check(self))[:20]
        ]


def _ok(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def _objects_in(body: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(body, dict):
        return
    if body.get("object") in KINDS:
        yield body
    for one in body["data"] if isinstance(body.get("data"), list) else ():
        if isinstance(one, dict) and "position" not in one:
            yield from _objects_in(one)


def _same(name: str, view: Any, row: Any) -> bool:
    if name.endswith("_at") and view and row:
        return datetime.fromisoformat(view) == datetime.fromisoformat(row)
    return bool(view == row)


def _column(kind: str, name: str) -> str:
    return "id" if name == KINDS[kind] else name


# --- What was accepted ---


def accepted_is_kept(w: Witness) -> Iterator[str]:
    """What was ever accepted is there, as it was asked for."""
    for (producer, kind, key), asks in w.asks.items():
        row = w.rows[kind].get(id_of(kind, producer=producer, key=key))
        for one in asks:
            if one.did == "send" or not _ok(one.status):
                continue
            if row is None:
                yield f"{kind} {producer}/{key} was accepted, and is not there"
                break
            wrong = _differs(w, kind, one.asked["fields"], row)
            if wrong:
                yield f"{row['id']} was accepted as {one.asked['fields']}; kept: {wrong}"


def captures_are_kept(w: Witness) -> Iterator[str]:
    """A capture that was ever accepted is there, once, and takes what was asked for."""
    kept = defaultdict(list)
    for row in w.tables["captures"]:
        kept[row["charge_id"], row["idempotency_key"]].append(row)
    for one in w.exchanges:
        if one.did != "capture" or not _ok(one.status):
            continue
        id_, key, fields = one.asked["id"], one.asked["key"], one.asked["fields"]
        there = [(row["amount"], row["final"]) for row in kept[id_, key]]
        wanted = (fields.get("amount", there[0][0] if there else None), fields.get("final", True))
        if there != [wanted]:
            yield f"{key} of {id_} was accepted as {fields}; kept: {there}"


def _differs(w: Witness, kind: str, fields: dict[str, Any], row: Row) -> dict[str, Any]:
    expected = dict(fields)
    if "price_id" in fields:
        (price,) = (p for p in w.evidence.run["prices"] if p["id"] == fields["price_id"])
        expected["amount"] = price["unit_amount"] * fields["quantity"]
        expected["currency"] = price["currency"]
    absent = dict.fromkeys(
        {"charge": ("reference", "description", "price_id", "quantity"), "refund": ("reason",)}[
            kind
        ]
    )
    expected = {**absent, "metadata": {}, **expected}
    return {name: row[name] for name, value in expected.items() if row[name] != value}


def ids_come_from_keys(w: Witness) -> Iterator[str]:
    """Every answer under a key names the one id that follows from it."""
    for (producer, kind, key), asks in w.asks.items():
        id_ = id_of(kind, producer=producer, key=key)
        for one in asks:
            if _ok(one.status) and isinstance(one.body, dict):
                told = one.body.get(KINDS[kind], id_)
                if told != id_:
                    yield f"{producer}/{key} was answered {told}, is {id_}"


def messages_are_answered(w: Witness) -> Iterator[str]:
    """A message that was sent in calm is an object, or a refusal that somebody can read."""
    refused = {(row["producer"], row["idempotency_key"]) for row in w.tables["rejected_requests"]}
    for (producer, kind, key), asks in w.asks.items():
        heard = any(
            one.did == "send" and one.status == 200 and one.sent > w.evidence.run["calm_at"]
            for one in asks
        )
        there = id_of(kind, producer=producer, key=key) in w.rows[kind]
        if heard and not there and (producer, key) not in refused:
            yield f"{kind} {producer}/{key} was sent, and is neither there nor refused"


def refusals_hold(w: Witness) -> Iterator[str]:
    """What was refused each time it was asked for is not there, and was refused for a reason."""
    for (producer, kind, key), asks in w.asks.items():
        id_ = id_of(kind, producer=producer, key=key)
        refused = [one for one in asks if one.status in (400, 404, 409, 413, 422)]
        if len(refused) == len(asks) and id_ in w.rows[kind]:
            yield f"{id_} was refused each time, and is there"
        several = len({json.dumps(one.asked["fields"], sort_keys=True) for one in asks}) > 1
        for one in refused:
            code = one.body.get("code") if isinstance(one.body, dict) else None
            if code not in _reasons(kind, one, several=several):
                yield f"{kind} {producer}/{key} was refused as {code}: {one.asked['fields']}"


def _reasons(kind: str, one: Exchange, *, several: bool) -> set[str]:
    fields = one.asked["fields"]
    if fields.get("amount") in (19.99, -5):
        return {"invalid_request"}
    by = (
        kind
        if kind == "refund"
        else "charge by price"
        if "price_id" in fields
        else "charge by amount"
    )
    return REFUSED_FOR[by] | ({"idempotency_key_reused"} if several else set())


def doors_keep_their_temper(w: Witness) -> Iterator[str]:
    """Whatever happens behind it, a door says yes, no, or later; never 500 or "who are you"."""
    for one in w.exchanges:
        if one.status in NEVER:
            yield f"{one.actor} {one.did} {one.asked}: {one.status} {one.body}"


# --- Answers ---


def answers_hold(w: Witness) -> Iterator[str]:
    """What an object was once shown with, it has for ever."""
    for seen in w.sightings:
        row = w.rows[seen.kind].get(seen.id)
        if row is None:
            yield f"{seen.id} was shown by {seen.where}, and is not there"
            continue
        for name in (*FIXED[seen.kind], *ONCE_SET[seen.kind]):
            told = seen.view.get(name)
            if name not in seen.view or (told is None and name in ONCE_SET[seen.kind]):
                continue
            if not _same(name, told, row[_column(seen.kind, name)]):
                was = row[_column(seen.kind, name)]
                yield f"{seen.id} was shown with {name} {told!r} by {seen.where}, and has {was!r}"
        if seen.kind == "charge" and not 0 <= seen.view["refunded_amount"] <= seen.view["amount"]:
            yield f"{seen.id} was shown with {seen.view['refunded_amount']} refunded"


def lists_leave_nothing_out(w: Witness) -> Iterator[str]:
    """Who reads a list from the newest moment that it has shown misses none of a shop's charges."""
    shown: dict[str, set[str]] = defaultdict(set)
    for one in w.exchanges:
        if one.did == "poll" and _ok(one.status):
            shown[one.actor.removesuffix("-clerk")].update(c["charge_id"] for c in one.body["data"])
    for id_, row in w.rows["charge"].items():
        if row["producer"] in shown and id_ not in shown[row["producer"]]:
            yield f"{id_} of {row['producer']}, of {row['created_at']}, came in no list"


def states_only_go_forward(w: Witness) -> Iterator[str]:
    """Who was told of an end is never told otherwise; nor is anybody who asks later."""
    by_id = defaultdict(list)
    for seen in w.sightings:
        by_id[seen.id].append(seen)
    for id_, seen_all in by_id.items():
        row = w.rows[seen_all[0].kind].get(id_)
        for seen in seen_all:
            if row and not _may_become(seen.kind, seen.view["state"], row["state"]):
                yield f"{id_} was {seen.view['state']} to {seen.where}, and is {row['state']}"
        yield from _backwards(id_, seen_all)
    for one in w.exchanges:
        if one.did == "read" and one.status == 404:
            earlier = by_id.get(one.asked["id"], ())
            if any(seen.got < one.sent for seen in earlier):
                yield f"{one.asked['id']} had been shown before, and was not found by {one.actor}"


def _may_become(kind: str, before: str, after: str) -> bool:
    if before in ("pending", after):
        return True
    return kind == "refund" and (before, after) == ("succeeded", "failed")


def _backwards(id_: str, seen_all: list[Sighting]) -> Iterator[str]:
    answered = sorted(seen_all, key=lambda seen: seen.got)
    known, at = "pending", 0
    for seen in sorted(seen_all, key=lambda seen: seen.sent):
        # What was answered before this one was asked.
        while answered[at].got < seen.sent:
            if RANK[answered[at].view["state"]] > RANK[known]:
                known = answered[at].view["state"]
            at += 1
        if not _may_become(seen.kind, known, seen.view["state"]):
            yield f"{id_} was {known}, and then {seen.view['state']} to {seen.where}"


# --- Money ---


def money_moved_once(w: Witness) -> Iterator[str]:
    """The processor's ledger has one movement for what succeeded, and none for what failed."""
    moved = defaultdict(list)
    for row in w.tables["sandbox_ledger"]:
        moved[row["object_id"]].append(row)
    for kind, rows in w.rows.items():
        for id_, row in rows.items():
            movements = sorted(moved.pop(id_, []), key=lambda movement: movement["id"])
            there = [(m["direction"], m["amount"], m["currency"]) for m in movements]
            once = [(kind, row["amount"], row["currency"])]
            returned = [*once, ("reversal", row["amount"], row["currency"])]
            # What is captured by hand, its captures move.
            is_by_itself = row.get("capture") != "manual"
            right: list[Any] = [once] if row["state"] == "succeeded" and is_by_itself else [[]]
            if kind == "refund" and row["state"] == "failed":
                right.append(returned)
            if row["state"] != "pending" and there not in right:
                yield f"{id_} is {row['state']} with {once}; the ledger has {there}"
    for row in w.tables["captures"]:
        there = [(m["direction"], m["amount"]) for m in moved.pop(row["id"], [])]
        once = [("capture", row["amount"])] if row["state"] == "succeeded" else []
        if row["state"] != "pending" and there != once:
            yield f"{row['id']} of {row['charge_id']} is {row['state']}; the ledger has {there}"
    for id_, movements in moved.items():
        yield f"the ledger has {len(movements)} movements of {id_}, which nobody has asked for"


def captures_stay_within_charges(w: Witness) -> Iterator[str]:
    """What was captured is what the captures say, and never more than was set aside; who took
    anything has succeeded, and nobody else has."""
    taken: dict[str, int] = defaultdict(int)
    for row in w.tables["sandbox_ledger"]:
        if row["direction"] == "capture":
            taken[row["charge_id"]] += row["amount"]
    said: dict[str, int] = defaultdict(int)
    for row in w.tables["captures"]:
        if row["state"] == "succeeded":
            said[row["charge_id"]] += row["amount"]
    for id_, row in w.rows["charge"].items():
        captured = row["amount_captured"] or 0
        if not said[id_] == captured == taken[id_] <= row["amount"]:
            yield (
                f"{id_} of {row['amount']} says {captured} captured; its captures say {said[id_]},"
                f" the ledger says {taken[id_]}"
            )
        if row["capture"] == "manual" and (row["state"] == "succeeded") != bool(captured):
            yield f"{id_} is {row['state']}, and {captured} was captured"


def refunds_stay_within_charges(w: Witness) -> Iterator[str]:
    """What went back is what the refunds say, and never more than was taken."""
    back: dict[str, int] = defaultdict(int)
    for row in w.tables["sandbox_ledger"]:
        sign = {"refund": 1, "reversal": -1}.get(row["direction"], 0)
        back[row["charge_id"]] += sign * row["amount"]
    refunded: dict[str, int] = defaultdict(int)
    for row in w.rows["refund"].values():
        if row["state"] == "succeeded":
            refunded[row["charge_id"]] += row["amount"]
    for id_, row in w.rows["charge"].items():
        taken = row["amount"] if row["amount_captured"] is None else row["amount_captured"]
        if not refunded[id_] == row["refunded_amount"] == back[id_] <= taken:
            yield (
                f"{id_} of {taken} says {row['refunded_amount']} refunded; its refunds say"
                f" {refunded[id_]}, the ledger says {back[id_]}"
            )
        if back[id_] and row["state"] != "succeeded":
            yield f"{id_} is {row['state']}, and {back[id_]} went back"


def references_are_unique(w: Witness) -> Iterator[str]:
    """One order is charged once."""
    seen: dict[tuple[str, str], str] = {}
    for id_, row in w.rows["charge"].items():
        if row["reference"] is None or row["state"] == "failed":
            continue
        other = seen.setdefault((row["producer"], row["reference"]), id_)
        if other != id_:
            yield f"{id_} and {other} are both for {row['producer']}'s {row['reference']}"


def everything_ends(w: Witness) -> Iterator[str]:
    """Nothing is pending when the storm is long over, every attempt has an outcome, and whoever
    went on asking was answered."""
    if "never answered" in w.evidence.run:
        yield str(w.evidence.run["never answered"])
    numbers = defaultdict(list)
    for attempt in w.tables["attempts"]:
        numbers[attempt["object_id"]].append(attempt["number"])
    for row in w.tables["captures"]:
        if row["state"] == "pending":
            yield f"{row['id']} of {row['charge_id']} is still pending"
    for rows in w.rows.values():
        for id_, row in rows.items():
            if row["state"] == "pending":
                yield f"{id_} is still pending, {row['phase']}"
            if sorted(numbers[id_]) != list(range(1, row["attempts"] + 1)):
                yield f"{id_} has {row['attempts']} attempts, numbered {sorted(numbers[id_])}"


# --- The ledger ---

CUSTOMER, CLEARING, IN_TRANSIT, PAYABLE = 1, 2, 3, 6


def _accounts(w: Witness) -> dict[str, dict[int, int]]:
    """What was posted of each object, by account: debits less credits. Fees and the like are no
    money of customers."""
    sums: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for row in w.tables["ledger_postings"]:
        if {row["debit"], row["credit"]} <= {CUSTOMER, CLEARING, IN_TRANSIT, PAYABLE}:
            sums[row["object_id"]][row["debit"]] += row["amount"]
            sums[row["object_id"]][row["credit"]] -= row["amount"]
    return sums


def nothing_is_in_transit(w: Witness) -> Iterator[str]:
    """When the storm is long over, nothing of which nobody knows has moved, nor is to be given
    back: these accounts have returned to zero, for each object by itself."""
    for id_, accounts in _accounts(w).items():
        for account, name in ((IN_TRANSIT, "in transit"), (PAYABLE, "to be given back")):
            if accounts[account]:
                yield f"{accounts[account]} of {id_} is {name}"


def the_ledger_is_what_moved(w: Witness) -> Iterator[str]:
    """What is posted of each charge and refund is what the processor says that it moved."""
    there: dict[str, int] = defaultdict(int)
    for row in w.tables["sandbox_ledger"]:
        id_ = row["charge_id"] if row["direction"] == "capture" else row["object_id"]
        there[id_] += -row["amount"] if row["direction"] == "refund" else row["amount"]
    posted = {id_: accounts[CLEARING] for id_, accounts in _accounts(w).items()}
    for id_ in sorted({*there, *posted}):
        if id_.startswith(("ch_", "re_")) and there.get(id_, 0) != posted.get(id_, 0):
            yield f"{posted.get(id_, 0)} of {id_} is posted, {there.get(id_, 0)} moved"


# --- Stock ---


def stock_adds_up(w: Witness) -> Iterator[str]:
    """What there was, was counted by hand, is out, and came back, make what is left."""
    for price in w.evidence.run["prices"]:
        (row,) = (p for p in w.tables["prices"] if p["id"] == price["id"])
        charges = {
            id_: c for id_, c in w.rows["charge"].items()
            if c["price_id"] == price["id"] and c["state"] != "failed"
        }  # fmt: skip
        out = sum(c["quantity"] for c in charges.values())
        back = sum(r["restocked"] for r in w.rows["refund"].values() if r["charge_id"] in charges)
        by_hand = sum(
            c["change"] for c in w.tables["inventory_changes"] if c["price_id"] == price["id"]
        )
        left = w.evidence.run["stock"] + by_hand - out + back
        if row["quantity_available"] != left or left < 0:
            yield f"{price['id']} has {row['quantity_available']} left, should have {left}"


def stock_is_counted_once(w: Witness) -> Iterator[str]:
    """A change by hand that was answered counts once, and none that nobody asked for."""
    kept = defaultdict(list)
    for row in w.tables["inventory_changes"]:
        kept[row["idempotency_key"]].append(row["change"])
    asked = set()
    for one in w.exchanges:
        if one.did != "inventory":
            continue
        key, fields = one.asked["key"], one.asked["fields"]
        asked.add(key)
        change = fields["quantity"] * (1 if fields["action"] == "increment" else -1)
        if _ok(one.status) and kept[key] != [change]:
            yield f"{key} changed the stock by {change}; kept: {kept[key]}"
    for key in kept.keys() - asked:
        yield f"{key} changed the stock by {kept[key]}, and nobody asked"


# --- Events ---


def sequences_have_no_gap(w: Witness) -> Iterator[str]:
    """The events of each object are numbered from 1, and its story ends as it stands."""
    by_object = defaultdict(list)
    for row in w.tables["events"]:
        by_object[row["object_id"]].append(row)
    for id_, rows in by_object.items():
        numbers = sorted(row["sequence"] for row in rows)
        if numbers != list(range(1, len(rows) + 1)):
            yield f"the events of {id_} are numbered {numbers}"
    for kind, objects in w.rows.items():
        for id_, row in objects.items():
            events = sorted(by_object[id_], key=lambda event: event["sequence"])
            yield from _story(kind, row, events)


def _story(kind: str, row: Row, events: list[Row]) -> Iterator[str]:
    id_ = row["id"]
    if len(events) != row["sequence"]:
        yield f"{id_} has {len(events)} events, and counts {row['sequence']}"
    states = [json.loads(event["body"])["data"]["state"] for event in events]
    if not events or events[0]["type"] != f"{kind}.pending":
        yield f"{id_} begins with {events[0]['type'] if events else 'nothing'}"
    for before, after in pairwise(states):
        if not _may_become(kind, before, after):
            yield f"{id_} is told as {before}, and then as {after}"
    if states and states[-1] != row["state"]:
        yield f"{id_} is told as {states[-1]} at last, and is {row['state']}"
    for end in ("succeeded", "failed"):
        told = [event for event in events if event["type"] == f"{kind}.{end}"]
        if len(told) > 1:
            yield f"{id_} is told {len(told)} times to have {end}"
    yield from _tells_what_it_is(kind, row, events)


def _tells_what_it_is(kind: str, row: Row, events: list[Row]) -> Iterator[str]:
    for event in events:
        body = json.loads(event["body"])
        if (body["type"], body["sequence"]) != (event["type"], event["sequence"]):
            yield f"{event['id']} says it is {body['type']} {body['sequence']}"
        for name in FIXED[kind]:
            if name in body["data"]:
                told, kept = body["data"][name], row[_column(kind, name)]
                if not _same(name, told, kept):
                    yield f"{event['id']} tells {name} {told!r} of {row['id']}, which has {kept!r}"


def webhooks_are_signed(w: Witness) -> Iterator[str]:
    """Every request to a receiver carries a right signature (Standard Webhooks 1.0.0)."""
    secrets = _secrets(w)
    for hook in w.evidence.webhooks:
        if not any(_is_signed(hook, secret) for secret in secrets[hook.receiver]):
            yield f"{hook.headers.get('webhook-id')} at {hook.receiver} is signed by nobody we know"


def _secrets(w: Witness) -> dict[str, set[str]]:
    """The secrets that each receiver was told, at first and by rotations."""
    known, ids = {}, {}
    for name, endpoint in w.evidence.run["endpoints"].items():
        known[name] = set(endpoint["secrets"])
        ids[endpoint["id"]] = name
    for one in w.exchanges:
        told = one.did == "endpoint" and _ok(one.status) and isinstance(one.body, dict)
        if told and "secret" in one.body:
            known[ids[one.body["id"]]].add(one.body["secret"])
    return known


def sign(secret: str, id_: str, timestamp: str, body: str) -> str:
    """The signature of a webhook under a `whsec_…`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id_}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _is_signed(hook: Webhook, secret: str) -> bool:
    head = hook.headers
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    if any(name not in head for name in names):
        return False
    right = sign(secret, head["webhook-id"], head["webhook-timestamp"], hook.body)
    return right in head["webhook-signature"].split(" ")


def webhooks_tell_the_truth(w: Witness) -> Iterator[str]:
    """A webhook is an event that happened, to the letter, and the same at every retry."""
    for hook in w.evidence.webhooks:
        event = w.events.get(hook.headers.get("webhook-id", ""))
        if event is None:
            yield f"{hook.headers.get('webhook-id')} at {hook.receiver} is no event"
        elif event["body"] != hook.body:
            yield f"{event['id']} at {hook.receiver} tells otherwise than the event"


def webhooks_are_numbered(w: Witness) -> Iterator[str]:
    """The numbers at each receiver have no gap, and a webhook keeps its own at every retry. What a
    version sent that knew no numbers has none."""
    numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
    for hook in w.evidence.webhooks:
        if number := hook.headers.get("webhook-sequence"):
            numbers[hook.receiver, hook.headers["webhook-id"]].add(int(number))
    by_receiver: dict[str, list[int]] = defaultdict(list)
    for (receiver, id_), found in numbers.items():
        by_receiver[receiver] += found
        if len(found) > 1:
            yield f"{id_} came to {receiver} as {sorted(found)}"
    for receiver, found in by_receiver.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            lacking = set(range(1, max(found))) - set(found)
            yield f"{receiver} got {len(found)} numbers up to {max(found)}, and not {lacking}"


def webhooks_arrive(w: Witness) -> Iterator[str]:
    """Every event was taken by every receiver that asked for it."""
    taken = _taken(w)
    types = set(w.evidence.run["event_types"])
    for event in w.tables["events"]:
        if event["type"] == "ping" or event["type"].startswith("endpoint."):
            continue  # for one endpoint only
        for name in w.evidence.run["endpoints"]:
            wanted = (
                event["type"] in types
                if name == "every"
                else event["type"] not in ("charge.pending", "charge.updated", "refund.pending")
            )
            if wanted and event["id"] not in taken[name]:
                what = f"{event['type']} of {event['object_id']}"
                yield f"{event['id']} ({what}) never came to {name}"


def delivered_was_answered(w: Witness) -> Iterator[str]:
    """What counts as delivered was taken by the receiver, who says so itself."""
    names = {e["id"]: name for name, e in w.evidence.run["endpoints"].items()}
    taken = _taken(w)
    for row in w.tables["deliveries"]:
        name = names[row["endpoint_id"]]
        if row["state"] == "delivered" and row["event_id"] not in taken[name]:
            yield f"{row['event_id']} counts as delivered to {name}, which never took it"


def _taken(w: Witness) -> dict[str, set[str]]:
    taken: dict[str, set[str]] = {name: set() for name in w.evidence.run["endpoints"]}
    for hook in w.evidence.webhooks:
        if _ok(hook.status):
            taken[hook.receiver].add(hook.headers["webhook-id"])
    return taken


def feed_is_whole(w: Witness) -> Iterator[str]:
    """The feed has every event once, in one order, and none appears behind a page's end."""
    order = sorted(w.tables["events"], key=lambda row: row["position"])
    last = 0
    for one in w.exchanges:
        if one.did != "feed" or not _ok(one.status):
            continue
        after, end = one.asked["after"], int(one.body["next_cursor"])
        told = [(item["position"], item["id"]) for item in one.body["data"]]
        there = [(row["position"], row["id"]) for row in order if after < row["position"] <= end]
        if told != there:
            missing, extra = set(there) - set(told), set(told) - set(there)
            yield f"the page behind {after} lacks {sorted(missing)[:3]}, has {sorted(extra)[:3]}"
        for item in one.body["data"]:
            event = w.events.get(item["id"])
            body = {name: v for name, v in item.items() if name not in ("id", "position")}
            if event and body != json.loads(event["body"]):
                yield f"the feed tells {item['id']} otherwise than the event"
        last = max(last, end)
    if order and last < order[-1]["position"]:
        yield f"the feed was read to {last}; the last event is {order[-1]['position']}"


Check = Callable[[Witness], Iterable[str]]
CHECKS: dict[str, Check] = {
    check.__name__.replace("_", " "): check
    for check in (
        accepted_is_kept,
        captures_are_kept,
        ids_come_from_keys,
        messages_are_answered,
        refusals_hold,
        doors_keep_their_temper,
        answers_hold,
        lists_leave_nothing_out,
        states_only_go_forward,
        money_moved_once,
        captures_stay_within_charges,
        refunds_stay_within_charges,
        references_are_unique,
        everything_ends,
        nothing_is_in_transit,
        the_ledger_is_what_moved,
        stock_adds_up,
        stock_is_counted_once,
        sequences_have_no_gap,
        webhooks_are_signed,
        webhooks_tell_the_truth,
        webhooks_are_numbered,
        webhooks_arrive,
        delivered_was_answered,
        feed_is_whole,
    )
}
