"""What happens later by itself: recorded when it is arranged, done when it is due."""

import math
from collections.abc import Callable

from local.stripe_door.shapes import new_id
from local.stripe_door.stripe_request import Request

Turn = Callable[[Request], None]


def arrange(request: Request, verb: str, target: str, *, after_s: float) -> None:
    """`verb` will be done to `target`, `after_s` seconds from now."""
    at = request.now + after_s
    request.store.set("turns", new_id("request"), {"at": at, "verb": verb, "target": target})
    request.store.next_turn_at = min(request.store.next_turn_at, at)


def due(request: Request, verbs: dict[str, Turn]) -> None:
    """Do what is due, in the order of its time; what it arranges itself comes next time."""
    now, store, turns = request.now, request.store, request.store.tables["turns"]
    if now < store.next_turn_at:
        return
    for name, turn in sorted(turns.items(), key=lambda item: item[1]["at"]):
        if turn["at"] > now:
            break
        store.set("turns", name, None)
        verbs[turn["verb"]](Request(store, target=turn["target"], url=request.url))
    store.next_turn_at = min((turn["at"] for turn in turns.values()), default=math.inf)
