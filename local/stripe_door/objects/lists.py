"""Lists, newest first, in pages that a cursor turns (docs.stripe.com/api/pagination)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from local.stripe_door.objects import balance
from local.stripe_door.shapes import Object
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire import forms
from local.stripe_door.wire.forms import Read, Takes
from local.stripe_door.wire.stripe_errors import invalid, missing

LIMIT, LIMIT_MAX = 10, 100


@dataclass(frozen=True, slots=True)
class Listing:
    """A kind of object, and by what it may be looked for: a parameter and the field it names."""

    kind: str
    url: str
    filters: dict[str, tuple[str, Read]] = field(default_factory=dict)

    @property
    def takes(self) -> Takes:
        return {
            "created": forms.moments,
            "ending_before": forms.text,
            "expand": forms.texts,
            "limit": forms.whole,
            "starting_after": forms.text,
            **{name: read for name, (_, read) in self.filters.items()},
        }

    def page(self, request: Request) -> Object:
        """One page."""
        limit = request.param("limit", LIMIT)
        if not 1 <= limit <= LIMIT_MAX:
            raise invalid(
                f"Invalid integer: limit must be from 1 to {LIMIT_MAX}",
                param="limit",
                code="parameter_invalid_integer",
            )
        if self.kind == "balance_transaction":
            balance.grow_available(request)
        places, backwards = self._places(request)
        found = list(self._found(request, places, limit + 1))
        data = found[:limit]
        if backwards:
            data.reverse()
        return {
            "object": "list",
            "data": data,
            "has_more": len(found) > limit,
            "url": self.url,
        }

    def _places(self, request: Request) -> tuple[Iterable[int], bool]:
        """Where to look, in the order to look; and whether that is from old to new."""
        shelf = request.store.shelf(self.kind)
        bounds = request.param("created") or {}
        within = shelf.places_between(bounds.get("gte"), bounds.get("lte"))
        after, before = request.param("starting_after"), request.param("ending_before")
        if after and before:
            raise invalid(
                "You cannot use both `starting_after` and `ending_before`.", param="ending_before"
            )
        cursor = after or before
        if not cursor:
            return reversed(within), False
        place = shelf.place_of(cursor)
        if place is None:
            raise missing(
                self.kind, cursor, param="starting_after" if after else "ending_before", status=400
            )
        if after:
            return reversed(range(within.start, min(within.stop, place))), False
        return range(max(within.start, place + 1), within.stop), True

    def _found(self, request: Request, places: Iterable[int], most: int) -> Iterable[Object]:
        shelf, fits = request.store.shelf(self.kind), self._fits(request)
        count = 0
        for place in places:
            if fits(one := shelf.at(place)):
                yield one
                count += 1
                if count == most:
                    return

    def _fits(self, request: Request) -> Callable[[Object], bool]:
        wanted = [
            (name, request.param(parameter))
            for parameter, (name, _) in self.filters.items()
            if request.param(parameter) is not None
        ]
        return lambda one: all(_is(one.get(name), value) for name, value in wanted)


def _is(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, list) else bool(value == wanted)


_TEXT = forms.text
LISTINGS = {
    one.kind: one
    for one in (
        Listing("payment_intent", "/v1/payment_intents", {"customer": ("customer", _TEXT)}),
        Listing(
            "charge",
            "/v1/charges",
            {"customer": ("customer", _TEXT), "payment_intent": ("payment_intent", _TEXT)},
        ),
        Listing(
            "refund",
            "/v1/refunds",
            {"charge": ("charge", _TEXT), "payment_intent": ("payment_intent", _TEXT)},
        ),
        Listing(
            "dispute",
            "/v1/disputes",
            {"charge": ("charge", _TEXT), "payment_intent": ("payment_intent", _TEXT)},
        ),
        Listing(
            "balance_transaction",
            "/v1/balance_transactions",
            {
                "currency": ("currency", _TEXT),
                "payout": ("_payout", _TEXT),
                "source": ("source", _TEXT),
                "type": ("type", _TEXT),
            },
        ),
        Listing("payout", "/v1/payouts", {"status": ("status", _TEXT)}),
        Listing("event", "/v1/events", {"type": ("type", _TEXT), "types": ("type", forms.texts)}),
        Listing("customer", "/v1/customers", {"email": ("email", _TEXT)}),
        Listing(
            "payment_method",
            "/v1/payment_methods",
            {"customer": ("customer", _TEXT), "type": ("type", _TEXT)},
        ),
    )
}
