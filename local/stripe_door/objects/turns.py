"""What happens later by itself: written down when it is arranged, done when its time has come."""

from collections.abc import Callable

from local.stripe_door.request import Request
from local.stripe_door.shapes import new_id

Turn = Callable[[Request], None]


def arrange(request: Request, verb: str, target: str, *, after_s: float) -> None:
    """`verb` will be done to `target`, so many seconds from now."""
    turn = {"at": request.now + after_s, "verb": verb, "target": target}
    request.store.set("turns", new_id("request"), turn)


def due(request: Request, verbs: dict[str, Turn]) -> None:
    """Do what is due, in the order of its time; what it arranges itself comes next time."""
    now, turns = request.now, request.store.tables["turns"]
    for name, turn in sorted(turns.items(), key=lambda item: item[1]["at"]):
        if turn["at"] > now:
            break
        request.store.set("turns", name, None)
        verbs[turn["verb"]](Request(request.store, target=turn["target"], url=request.url))
