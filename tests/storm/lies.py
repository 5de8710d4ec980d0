"""Lies, each told in the evidence of an honest run: a witness that lets one pass is no witness.

Most are covered up as far as whoever tells them could: row, ledger, events, webhooks and feed then
agree with each other, and only somebody who kept what was said before can know. Each names the
promise that it breaks.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.storm.evidence import Evidence, Row
from tests.storm.names import id_of
from tests.storm.witness import KINDS, sign


@dataclass(frozen=True, slots=True)
class Lie:
    """What is claimed, how it is planted, and the promise that it breaks."""

    name: str
    promise: str
    tell: Callable[[Evidence], None]


LIES: list[Lie] = []
Teller = Callable[[Evidence], None]


def lie(promise: str) -> Callable[[Teller], Teller]:
    """Note a lie; its name is that of the function."""

    def note(tell: Teller) -> Teller:
        LIES.append(Lie(tell.__name__.replace("_", " "), promise, tell))
        return tell

    return note


def told(evidence: Evidence, one: Lie) -> Evidence:
    """The evidence with this lie in it; the honest one stays as it is."""
    changed = copy.deepcopy(evidence)
    one.tell(changed)
    return changed


# --- What is accepted ---


@lie("accepted is kept")
def an_accepted_charge_vanishes_without_a_trace(e: Evidence) -> None:
    _erase(e, _accepted(e)["id"])


@lie("accepted is kept")
def a_charge_is_kept_with_another_amount(e: Evidence) -> None:
    charge = _accepted(e)
    _rewrite(e, charge, "amount", charge["amount"] + 10)
    for row in e.tables["sandbox_ledger"]:
        if row["object_id"] == charge["id"]:
            row["amount"] = charge["amount"]


@lie("accepted is kept")
def a_field_of_a_charge_gets_lost(e: Evidence) -> None:
    charge = next(c for c in e.tables["charges"] if c["metadata"] and _answered(e, c))
    _rewrite(e, charge, "metadata", {})


@lie("messages are answered")
def a_message_is_swallowed(e: Evidence) -> None:
    for one in e.exchanges:
        if one.did == "send" and one.status == 200 and "key" in one.asked:
            kind = one.asked["kind"]
            id_ = id_of(kind, producer=one.asked["producer"], key=one.asked["key"])
            if any(row["id"] == id_ for row in e.tables[f"{kind}s"]):
                e.run["calm_at"] = min(e.run["calm_at"], one.sent - 1)
                _erase(e, id_)
                return
    raise AssertionError("no message became an object")


@lie("ids come from keys")
def one_key_is_answered_with_two_ids(e: Evidence) -> None:
    i, one = next(
        (i, one) for i, one in enumerate(e.exchanges) if one.did == "charge" and one.status == 200
    )
    e.exchanges[i] = replace(one, body={**one.body, "charge_id": "ch_" + "a" * 32})


@lie("refusals hold")
def what_was_refused_is_charged_all_the_same(e: Evidence) -> None:
    charge = _accepted(e)
    for i, one in enumerate(e.exchanges):
        if one.asked.get("key") == charge["idempotency_key"]:
            e.exchanges[i] = replace(one, status=409, body={"code": "reference_in_use"})


@lie("doors keep their temper")
def a_door_breaks_down(e: Evidence) -> None:
    e.exchanges[-1] = replace(e.exchanges[-1], status=500, body={"code": "internal_error"})


# --- Answers ---


@lie("states only go forward")
def somebody_was_told_of_a_success_that_never_came(e: Evidence) -> None:
    failed = {row["id"] for row in e.tables["charges"] if row["state"] == "failed"}
    _answer_with(e, failed, state="succeeded", phase=None)


@lie("states only go forward")
def an_end_is_taken_back_and_told_again_later(e: Evidence) -> None:
    heard = [
        one.body["charge_id"]
        for one in e.exchanges
        if one.status == 200 and one.did == "read" and one.body.get("object") == "charge"
        if one.body["state"] == "succeeded"
    ]
    twice = {id_ for id_ in heard if heard.count(id_) > 1}
    _answer_with(e, twice, last=True, state="pending", phase="queued")


@lie("answers hold")
def an_answer_tells_another_currency(e: Evidence) -> None:
    _answer_with(e, {row["id"] for row in e.tables["charges"]}, currency="XXX")


@lie("answers hold")
def an_answer_names_another_reference_of_the_processor(e: Evidence) -> None:
    known = {row["id"] for row in e.tables["charges"] if row["processor_reference"]}
    _answer_with(e, known, last=True, processor_reference="sb_of_somebody_else")


@lie("lists leave nothing out")
def a_list_leaves_a_charge_out(e: Evidence) -> None:
    charge = _accepted(e)
    for i, one in enumerate(e.exchanges):
        if one.did == "poll" and one.status == 200:
            left = [c for c in one.body["data"] if c["charge_id"] != charge["id"]]
            e.exchanges[i] = replace(one, body={**one.body, "data": left})


# --- Money ---


@lie("money moved once")
def money_moves_twice(e: Evidence) -> None:
    e.tables["sandbox_ledger"].append({**e.tables["sandbox_ledger"][0], "id": 10**9})


@lie("money moved once")
def a_capture_moves_twice(e: Evidence) -> None:
    again = {**_movement_of(e, _captured(e)), "id": 10**9}
    e.tables["sandbox_ledger"].append(again)


@lie("captures stay within charges")
def more_is_captured_than_was_set_aside(e: Evidence) -> None:
    capture = _captured(e)
    (charge,) = (c for c in e.tables["charges"] if c["id"] == capture["charge_id"])
    more = charge["amount"] + 10 - charge["amount_captured"]
    for row, name in (
        (capture, "amount"), (_movement_of(e, capture), "amount"), (charge, "amount_captured"),
    ):  # fmt: skip
        row[name] += more


@lie("captures stay within charges")
def a_charge_is_let_go_of_and_keeps_what_was_captured(e: Evidence) -> None:
    capture = _captured(e)
    (charge,) = (c for c in e.tables["charges"] if c["id"] == capture["charge_id"])
    charge["state"] = "failed"


@lie("captures are kept")
def an_accepted_capture_vanishes(e: Evidence) -> None:
    asked = {(one.asked["id"], one.asked["key"]) for one in e.exchanges if one.did == "capture"
             and one.status in (200, 202)}  # fmt: skip
    capture = next(
        c for c in e.tables["captures"] if (c["charge_id"], c["idempotency_key"]) in asked
    )
    e.tables["captures"].remove(capture)


@lie("money moved once")
def money_moves_for_a_charge_that_failed(e: Evidence) -> None:
    charge = next(c for c in e.tables["charges"] if c["state"] == "failed")
    e.tables["sandbox_ledger"].append(_movement(charge, "charge"))


@lie("money moved once")
def a_charge_succeeds_and_no_money_moves(e: Evidence) -> None:
    charge = next(
        c for c in e.tables["charges"] if c["state"] == "succeeded" and c["capture"] == "automatic"
    )
    e.tables["sandbox_ledger"] = [
        row for row in e.tables["sandbox_ledger"] if row["object_id"] != charge["id"]
    ]


@lie("refunds stay within charges")
def more_is_refunded_than_was_charged(e: Evidence) -> None:
    refund = next(r for r in e.tables["refunds"] if r["state"] == "succeeded")
    (charge,) = (c for c in e.tables["charges"] if c["id"] == refund["charge_id"])
    more = {**refund, "id": "re_" + "b" * 32, "idempotency_key": "b", "amount": charge["amount"]}
    e.tables["refunds"].append(more)
    e.tables["sandbox_ledger"].append(_movement(more, "refund"))
    charge["refunded_amount"] += more["amount"]


@lie("references are unique")
def one_order_is_charged_twice(e: Evidence) -> None:
    first, second = [
        c for c in e.tables["charges"] if c["state"] == "succeeded" and c["producer"] == "shop-http"
    ][:2]
    for charge in (first, second):
        _rewrite(e, charge, "reference", "order-1")


@lie("everything ends")
def a_charge_never_ends(e: Evidence) -> None:
    charge = e.tables["charges"][0]
    charge.update(state="pending", phase="unknown", settled_at=None)


@lie("everything ends")
def an_attempt_is_forgotten(e: Evidence) -> None:
    e.tables["attempts"].pop(0)


# --- Stock ---


@lie("stock adds up")
def one_more_is_left_than_was_ever_there(e: Evidence) -> None:
    used = {c["price_id"] for c in e.tables["charges"]}
    next(p for p in e.tables["prices"] if p["id"] in used)["quantity_available"] += 1


@lie("stock is counted once")
def a_change_of_stock_counts_twice(e: Evidence) -> None:
    change = e.tables["inventory_changes"][0]
    e.tables["inventory_changes"].append({**change, "id": "inv_twice"})
    for price in e.tables["prices"]:
        if price["id"] == change["price_id"]:
            price["quantity_available"] += change["change"]


# --- Events ---


@lie("sequences have no gap")
def an_event_is_left_out_of_a_story(e: Evidence) -> None:
    event = next(v for v in e.tables["events"] if v["type"] == "charge.succeeded")
    _forget_event(e, event["id"])


@lie("sequences have no gap")
def an_event_tells_another_end(e: Evidence) -> None:
    event = next(v for v in e.tables["events"] if v["type"] == "charge.failed")
    body = json.loads(event["body"])
    body["data"]["state"], body["type"] = "succeeded", "charge.succeeded"
    event["type"] = "charge.succeeded"
    _tell_event(e, event, json.dumps(body))


@lie("webhooks are numbered")
def a_number_was_never_sent(e: Evidence) -> None:
    for hook in e.webhooks:
        number = int(hook.headers["webhook-sequence"])
        hook.headers["webhook-sequence"] = str(number + (number > 3))


@lie("webhooks are numbered")
def a_webhook_comes_again_under_another_number(e: Evidence) -> None:
    again = e.webhooks[0]
    e.webhooks.append(replace(again, headers={**again.headers, "webhook-sequence": "99999"}))


@lie("webhooks arrive")
def a_receiver_is_never_told(e: Evidence) -> None:
    event = next(v for v in e.tables["events"] if v["type"] == "charge.succeeded")
    e.webhooks = [
        hook
        for hook in e.webhooks
        if (hook.receiver, hook.headers.get("webhook-id")) != ("all", event["id"])
    ]


@lie("delivered was answered")
def what_a_receiver_refused_counts_as_delivered(e: Evidence) -> None:
    for hook in e.webhooks:
        if hook.headers["webhook-id"] == e.webhooks[0].headers["webhook-id"]:
            hook.status = 500


@lie("webhooks are signed")
def a_webhook_is_signed_by_somebody_else(e: Evidence) -> None:
    _sign(e.webhooks[0], "whsec_" + "QUJD" * 8)


@lie("webhooks tell the truth")
def a_webhook_tells_another_amount_and_is_rightly_signed(e: Evidence) -> None:
    hook = next(h for h in e.webhooks if '"object":"charge"' in h.body and h.receiver == "all")
    body = json.loads(hook.body)
    body["data"]["amount"] += 1
    hook.body = json.dumps(body)
    _sign(hook, e.run["endpoints"]["all"]["secrets"][0])


@lie("feed is whole")
def the_feed_leaves_an_event_out(e: Evidence) -> None:
    event = e.tables["events"][3]
    _change_feed(e, lambda items: [item for item in items if item["id"] != event["id"]])


@lie("feed is whole")
def the_feed_tells_two_events_the_other_way_round(e: Evidence) -> None:
    _change_feed(e, lambda items: [items[1], items[0], *items[2:]] if len(items) > 1 else items)


# --- How they are planted ---


def _answered(e: Evidence, row: Row) -> bool:
    return any(
        one.did == "charge"
        and one.asked.get("key") == row["idempotency_key"]
        and one.status in (200, 202)
        for one in e.exchanges
    )


def _accepted(e: Evidence) -> Row:
    """A charge that succeeded, of which a door said so, and of which no refund is known."""
    refunded = {r["charge_id"] for r in e.tables["refunds"]}
    return next(
        c
        for c in e.tables["charges"]
        if c["state"] == "succeeded"
        and c["id"] not in refunded
        and c["price_id"] is None
        and c["capture"] == "automatic"
        and _answered(e, c)
    )


def _captured(e: Evidence) -> Row:
    """A capture that took something."""
    return next(c for c in e.tables["captures"] if c["state"] == "succeeded")


def _movement_of(e: Evidence, capture: Row) -> Row:
    """What the ledger has of it."""
    return next(m for m in e.tables["sandbox_ledger"] if m["object_id"] == capture["id"])


def _movement(row: Row, direction: str) -> Row:
    charge_id = row.get("charge_id", row["id"])
    return {
        "id": 10**9, "object_id": row["id"], "charge_id": charge_id, "reference": "sb_x",
        "direction": direction, "amount": row["amount"], "currency": row["currency"],
    }  # fmt: skip


def _answer_with(e: Evidence, ids: set[str], *, last: bool = False, **changes: Any) -> None:
    """One answer about one of these, other than it was."""
    numbered = [*enumerate(e.exchanges)]
    for i, one in reversed(numbered) if last else numbered:
        if one.did not in ("charge", "read") or one.status not in (200, 202):
            continue
        if one.body["object"] == "charge" and one.body["charge_id"] in ids:
            e.exchanges[i] = replace(one, body={**one.body, **changes})
            return
    raise AssertionError("no such answer to lie in")


def _rewrite(e: Evidence, row: Row, name: str, value: Any) -> None:
    """The row is other than it was asked for, and events, webhooks and feed agree with it."""
    row[name] = value
    for event in e.tables["events"]:
        if event["object_id"] == row["id"]:
            body = json.loads(event["body"])
            body["data"][name] = value
            _tell_event(e, event, json.dumps(body))


def _tell_event(e: Evidence, event: Row, body: str) -> None:
    event["body"] = body
    for hook in e.webhooks:
        if hook.headers.get("webhook-id") == event["id"]:
            hook.body = body
            _sign(hook, e.run["endpoints"][hook.receiver]["secrets"][0])
    _change_feed(
        e,
        lambda items: [
            {"id": item["id"], "position": item["position"], **json.loads(body)}
            if item["id"] == event["id"]
            else item
            for item in items
        ],
    )


def _sign(hook: Any, secret: str) -> None:
    head = hook.headers
    right = sign(secret, head["webhook-id"], head["webhook-timestamp"], hook.body)
    hook.headers = {**head, "webhook-signature": right}


def _change_feed(e: Evidence, change: Callable[[list[Any]], list[Any]]) -> None:
    for i, one in enumerate(e.exchanges):
        if one.did == "feed" and one.status == 200:
            e.exchanges[i] = replace(one, body={**one.body, "data": change(one.body["data"])})


def _forget_event(e: Evidence, id_: str) -> None:
    for name, column in (("events", "id"), ("deliveries", "event_id")):
        e.tables[name] = [row for row in e.tables[name] if row[column] != id_]
    e.webhooks = [hook for hook in e.webhooks if hook.headers.get("webhook-id") != id_]
    _change_feed(e, lambda items: [item for item in items if item["id"] != id_])


def _erase(e: Evidence, id_: str) -> None:
    """No table, webhook, page or answer but the first ones knows of it any more."""
    for event in [v for v in e.tables["events"] if v["object_id"] == id_]:
        _forget_event(e, event["id"])
    for name, column in {
        "charges": "id", "refunds": "id", "attempts": "object_id", "sandbox_ledger": "object_id",
        "sandbox_requests": "object_id", "rejected_requests": "object_id",
    }.items():  # fmt: skip
        e.tables[name] = [row for row in e.tables[name] if row[column] != id_]
    e.exchanges = [
        one
        for one in e.exchanges
        if one.did != "read" or one.asked.get("id") != id_ or id_ not in json.dumps(one.body)
    ]


@lie("nothing is in transit")
def what_arrived_is_still_on_its_way(e: Evidence) -> None:
    _arrival(e)["debit"] = 3


@lie("the ledger is what moved")
def a_charge_was_never_posted(e: Evidence) -> None:
    moved = e.tables["sandbox_ledger"][0]["object_id"]
    e.tables["ledger_postings"] = [
        row for row in e.tables["ledger_postings"] if row["object_id"] != moved
    ]


@lie("the ledger is what moved")
def a_charge_was_posted_twice(e: Evidence) -> None:
    e.tables["ledger_postings"].append(_arrival(e))


def _arrival(e: Evidence) -> Row:
    """A posting of money that the processor has since."""
    return next(row for row in e.tables["ledger_postings"] if row["debit"] == 2)


assert {*KINDS} == {"charge", "refund"}, "lies are told of these two"
