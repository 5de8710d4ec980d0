"""An inbox that missed webhooks catches up from the real feed."""

import json
from typing import Any

from infra import billing
from payments.processors.outcomes import Succeeded
from tests.support.factories import Till
from tests.support.sdk import sdk_of
from tests.support.web import CHARGE, Caller


def test_what_never_came_is_handled_from_the_feed_once(caller: Caller, till: Till) -> None:
    books: dict[str, Any] = {}
    done: list[tuple[str, str]] = []
    inbox = billing.webhook.Inbox("whsec_" + "A" * 32)

    def work(event: billing.Event, _: Any) -> None:
        done.append((event.type, event.data.charge_id))

    with sdk_of(caller):
        made = [billing.charge.create(**CHARGE).charge_id for _ in range(4)]
        claims = till.submit(*made)
        till.settle_all(*((claim, claim.kind.name, Succeeded("sbx_1")) for claim in claims))
        told = [
            event
            for event in billing.event.list().auto_paging_iter()
            if event.type == "charge.succeeded" and event.data.charge_id in made
        ]
        # The first and the third arrived, as numbers 1 and 3.
        for number in (1, 3):
            event = told[number - 1]
            body = _body_of(event)
            headers = billing.webhook.sign(body, "whsec_" + "A" * 32, webhook_id=event.id)
            headers["webhook-sequence"] = str(number)
            inbox.handle(body, headers, books, work)
        assert inbox.missing(books, waiting_s=0) == [range(2, 3)]
        assert inbox.catch_up(books, work, waiting_s=0) >= 2
        assert inbox.missing(books, waiting_s=0) == []
        assert inbox.catch_up(books, work) == 0
    mine = [id_ for type_, id_ in done if id_ in made and type_ == "charge.succeeded"]
    assert sorted(mine) == sorted(made)
    assert "charge.pending" not in {type_ for type_, _ in done}


def _body_of(event: billing.Event) -> bytes:
    """The webhook's body: what the feed adds is taken away."""
    told = {name: value for name, value in event.items() if name not in ("id", "position")}
    return json.dumps({**told, "data": dict(event.data)}).encode()
