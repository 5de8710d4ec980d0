"""Endpoints and deliveries: added, tested, disabled, sent again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from api.console.actions.action import Action, Doing, Done, Input
from payments.access.scopes import WEBHOOKS_WRITE
from payments.intake import once
from payments.payment_errors import InvalidRequest
from payments.transaction import Transaction
from payments.webhooks import endpoints, pings, replays

# Per click: about a second of work.
REPLAYED_MAX = 10_000
# And at most this many calls, each of which checks a part of the events.
_PARTS_MAX = 20
_HOURS_MAX = 24 * 365
_HOURS_DIGITS_MAX = 4


async def _add(doing: Doing) -> Done:
    fields: dict[str, Any] = {**doing.fields}
    types = [part.strip() for part in doing.fields.get("event_types", "").split(",")]
    if "event_types" in fields:
        fields["event_types"] = [one for one in types if one]

    add = partial(
        once.add_endpoint,
        key=doing.key,
        access=doing.session.access,
        fields=fields,
        target_check=doing.here.target_check,
        vault=doing.here.vault,
    )
    view, _ = await doing.here.database.transaction(add, acting=doing.acting)
    return Done(f"/endpoints/{view['id']}", view["secret"])


async def _ping(doing: Doing) -> Done:
    def ping(transaction: Transaction) -> dict[str, Any]:
        return {"event_id": pings.ping(transaction, doing.id, access=doing.session.access)}

    await doing.once("endpoint.ping", {"endpoint_id": doing.id}, ping)
    return Done(f"/endpoints/{doing.id}")


async def _enable(doing: Doing) -> Done:
    await _run(doing, partial(endpoints.enable, endpoint_id=doing.id, access=doing.session.access))
    return Done(f"/endpoints/{doing.id}")


async def _disable(doing: Doing) -> Done:
    stop = partial(endpoints.disable, endpoint_id=doing.id, access=doing.session.access)
    await _run(doing, stop)
    return Done(f"/endpoints/{doing.id}")


async def _delete(doing: Doing) -> Done:
    await _run(doing, partial(endpoints.delete, endpoint_id=doing.id, access=doing.session.access))
    return Done("/endpoints")


async def _rotate(doing: Doing) -> Done:
    rotate = partial(
        once.rotate_secret,
        endpoint_id=doing.id,
        key=doing.key,
        vault=doing.here.vault,
        access=doing.session.access,
    )
    view, _ = await doing.here.database.transaction(rotate, acting=doing.acting)
    return Done(f"/endpoints/{doing.id}", view["secret"])


async def _replay(doing: Doing) -> Done:
    hours = doing.fields.get("hours", "")
    is_number = hours.isascii() and hours.isdigit() and len(hours) <= _HOURS_DIGITS_MAX
    if not is_number or not 0 < int(hours) <= _HOURS_MAX:
        raise InvalidRequest(
            f"say how many hours back: a whole number from 1 to {_HOURS_MAX}", param="hours"
        )
    since = datetime.now(UTC) - timedelta(hours=int(hours))
    only = doing.fields.get("only", "failed")

    def part_behind(after: int, transaction: Transaction) -> dict[str, Any]:
        done = replays.replay(
            transaction,
            doing.id,
            since=since,
            only=only,
            after=after,
            access=doing.session.access,
        )
        return {"replayed": done.count, "has_more": done.has_more, "after": done.next_after}

    said, sent, after = {"endpoint_id": doing.id, "hours": hours, "only": only}, 0, 0
    # Each in its own transaction, of a second's work.
    for number in range(_PARTS_MAX):
        part = replace(doing, key=f"{doing.key}-{number}")
        done = await part.once("endpoint.replay", said, partial(part_behind, after))
        sent, after = sent + done["replayed"], done["after"]
        if not done["has_more"]:
            return Done(f"/endpoints/{doing.id}")
        if sent >= REPLAYED_MAX:
            break
    raise InvalidRequest(
        f"{sent:,} events are sent again, and there are more: once these have arrived, `billing"
        f" webhook replay {doing.id} --since …` sends all of a time, however many",
        param="hours",
    )


async def _retry(doing: Doing) -> Done:
    def retry(transaction: Transaction) -> dict[str, Any]:
        replays.retry(transaction, doing.id, access=doing.session.access)
        return {}

    await doing.once("delivery.retry", {"delivery_id": doing.id}, retry)
    return Done(f"/deliveries/{doing.id}")


async def _run(doing: Doing, change: Callable[[Transaction], Any]) -> None:
    await doing.here.database.transaction(change, acting=doing.acting, idempotent=False)


_ONLY = (
    ("failed", "Those that failed for good"),
    ("missed", "Those that were never to be sent there"),
    ("undelivered", "Both"),
    ("all", "All, also what arrived"),
)
ACTIONS = (
    Action(
        of="endpoints",
        name="add",
        title="Add an endpoint",
        permission=WEBHOOKS_WRITE,
        says="Sends webhooks to this URL from now on. Its secret is shown once, on the next page.",
        run=_add,
        inputs=(
            Input("url", "URL", "url", "https://…", True),
            Input(
                "event_types",
                "Event types",
                "text",
                "Separated by commas, such as charge.succeeded. Left empty: all but those of"
                " pending ones.",
            ),
            Input("producer", "Producer", "text", "Only events of what this producer asked for."),
            Input("description", "Description"),
        ),
        needs_object=False,
    ),
    Action(
        of="endpoints",
        name="ping",
        title="Ping",
        permission=WEBHOOKS_WRITE,
        says="Sends an event of the type ping, signed as any other, and shows what was answered.",
        run=_ping,
        is_possible=lambda row: row.state == "enabled",
    ),
    Action(
        of="endpoints",
        name="replay",
        title="Send again",
        permission=WEBHOOKS_WRITE,
        says="Sends events of the last hours to this endpoint again, under their own ids, behind"
        " what happens meanwhile. A receiver that keeps to the ids does nothing twice.",
        run=_replay,
        is_possible=lambda row: row.state == "enabled",
        inputs=(
            Input("hours", "How many hours back", "number", "", True, value="24"),
            Input("only", "Which of them", "choice", "", True, _ONLY),
        ),
    ),
    Action(
        of="endpoints",
        name="rotate",
        title="New secret",
        permission=WEBHOOKS_WRITE,
        says="Makes a new signing secret, which is shown once, on the next page. For a day the old"
        " one signs, too, so that the receiver can change over.",
        run=_rotate,
    ),
    Action(
        of="endpoints",
        name="disable",
        title="Disable",
        permission=WEBHOOKS_WRITE,
        says="Sends nothing to this endpoint until it is enabled. What waits stays; what happens"
        " meanwhile passes it by.",
        run=_disable,
        is_possible=lambda row: row.state == "enabled",
        is_dangerous=True,
    ),
    Action(
        of="endpoints",
        name="enable",
        title="Enable",
        permission=WEBHOOKS_WRITE,
        says="Sends to this endpoint again, beginning with what waited.",
        run=_enable,
        is_possible=lambda row: row.state == "disabled",
    ),
    Action(
        of="endpoints",
        name="delete",
        title="Delete",
        permission=WEBHOOKS_WRITE,
        says="Ends this endpoint for good. What waits is given up; what was sent stays on record.",
        run=_delete,
        is_dangerous=True,
    ),
    Action(
        of="deliveries",
        name="retry",
        title="Send now",
        permission=WEBHOOKS_WRITE,
        says="Sends this webhook once more, at once, under its own id.",
        run=_retry,
        is_possible=lambda row: row.endpoint_state == "enabled",
    ),
)
