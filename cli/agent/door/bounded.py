"""Answers to agents, of a bounded size: reading costs them money, and fills their context."""

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

LIMIT, LIMIT_MAX = 20, 100
# As much as some dozen objects with all the metadata that they may have; a page of usual ones is a
# third of it.
CHARACTERS_MAX = 60_000

View = Mapping[str, Any]


def some(views: Iterable[View], limit: int = LIMIT) -> dict[str, Any]:
    """The first of them: up to `limit`, up to CHARACTERS_MAX, and at least one. `has_more` says
    whether there are others, for which a narrower question is needed."""
    rest = iter(views)
    data: list[View] = []
    left = CHARACTERS_MAX
    for view in islice(rest, limit):
        left -= len(json.dumps(view, ensure_ascii=False, default=str))
        if data and left < 0:
            return {"data": data, "has_more": True}
        data.append(view)
    return {"data": data, "has_more": next(rest, None) is not None}


def findings(views: Iterable[View], is_good: Callable[[View], bool]) -> dict[str, Any]:
    """The findings, the bad ones first: what is cut off needs no action, and `has_more` says that
    there is some."""
    ordered = sorted(views, key=is_good)
    page = some(ordered, len(ordered))
    return {"findings": page["data"], "has_more": page["has_more"]}
