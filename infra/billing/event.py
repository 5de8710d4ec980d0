"""Events: the feed of everything that webhooks tell, to be read at one's own pace."""

from collections.abc import Mapping
from typing import Any

from infra.billing.arguments import given
from infra.billing.calls.described import ListCall
from infra.billing.contract.objects import Event, resource
from infra.billing.verbs import paged


@paged
def list(*, after: int | str | None = None, limit: int | None = None) -> ListCall[Event]:
    """The events behind the position `after`, oldest first: the same bodies as the webhooks.

    Keep `page.next_cursor`, which is always given, and pass it as the next `after`: so nothing is
    missed, whatever happens between two calls. `.auto_paging_iter()` goes on to the last that there
    is now; each event has its `position`. `charge.pending` and `refund.pending` are among them only
    while an enabled endpoint asks for them by name. Needs an http(s) url.
    """
    query = given(limit=limit, after=after)
    return ListCall(("events",), query, _event, cursor="after")


def _event(fields: Mapping[str, Any]) -> Event:
    return Event({**fields, "data": resource(fields["data"])})
