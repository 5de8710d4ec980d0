"""The endpoints: what each takes, and the one function that carries it out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from local.stripe_door.objects import (
    confirming,
    customers,
    payment_intents,
    stripe_charges,
    stripe_disputes,
    stripe_refunds,
)
from local.stripe_door.objects.lists import LISTINGS
from local.stripe_door.objects.turns import Turn
from local.stripe_door.shapes import Object
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire import forms
from local.stripe_door.wire.forms import Takes
from local.stripe_door.wire.stripe_errors import missing

_TEXT, _ANY, _BOOL, _WORDS = forms.text, forms.anything, forms.yes_or_no, forms.words


@dataclass(frozen=True)
class Route:
    """One endpoint. `{id}` in its path is the object that it is about."""

    method: str
    path: str
    carry_out: Callable[[Request], Object]
    takes: Takes = field(default_factory=dict)
    required: tuple[str, ...] = ()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self.path.replace("{id}", r"(?P<id>[^/]+)"))

    def read(self, given: Object) -> Object:
        """The parameters. Raises Refused."""
        takes = {"expand": forms.texts, **self.takes}
        read: Object = forms.read(given, takes, required=self.required)
        return read


_CONFIRM: Takes = {
    "capture_method": forms.either("automatic", "automatic_async", "manual"),
    "error_on_requires_action": _BOOL,
    "mandate": _TEXT,
    "mandate_data": _ANY,
    "off_session": _BOOL,
    "payment_method": _TEXT,
    "payment_method_options": _ANY,
    "radar_options": _ANY,
    "receipt_email": _TEXT,
    "return_url": _TEXT,
    "setup_future_usage": forms.either("off_session", "on_session"),
    "shipping": _ANY,
    "use_stripe_sdk": _BOOL,
}
_UPDATE: Takes = {
    "amount": forms.amount,
    "currency": _TEXT,
    "description": _TEXT,
    "metadata": _WORDS,
    "payment_method": _TEXT,
    "receipt_email": _TEXT,
    "statement_descriptor": _TEXT,
    "statement_descriptor_suffix": _TEXT,
}
_CREATE: Takes = {
    **_CONFIRM,
    **_UPDATE,
    "automatic_payment_methods": _ANY,
    "confirm": _BOOL,
    "confirmation_method": forms.either("automatic", "manual"),
    "customer": _TEXT,
    "payment_method_types": forms.texts,
    "transfer_group": _TEXT,
}
_CAPTURE: Takes = {
    "amount_to_capture": forms.amount_or_none,
    "final_capture": _BOOL,
    "metadata": _WORDS,
    "statement_descriptor": _TEXT,
    "statement_descriptor_suffix": _TEXT,
}
_REFUND: Takes = {
    "amount": forms.amount,
    "charge": _TEXT,
    "instructions_email": _TEXT,
    "metadata": _WORDS,
    "payment_intent": _TEXT,
    "reason": forms.either("duplicate", "fraudulent", "requested_by_customer"),
    "refund_application_fee": _BOOL,
    "reverse_transfer": _BOOL,
}
_CUSTOMER: Takes = dict.fromkeys(("id", "description", "email", "name", "payment_method", "phone"),
                                 _TEXT) | {"metadata": _WORDS}  # fmt: skip
_CANCELLATION = forms.either("duplicate", "fraudulent", "requested_by_customer", "abandoned")


def _retrieve(kind: str) -> Callable[[Request], Object]:
    """The endpoint that shows an object as it is."""

    def retrieve(request: Request) -> Object:
        if found := request.store.get(kind, request.target):
            return found
        raise missing(kind.replace("_", " "), request.target, param="id")

    return retrieve


_INTENTS, _REFUNDS, _CHARGES = "/v1/payment_intents", "/v1/refunds", "/v1/charges"
_DISPUTES, _CUSTOMERS, _METHODS = "/v1/disputes", "/v1/customers", "/v1/payment_methods"
ROUTES = [
    Route("POST", _INTENTS, payment_intents.create, _CREATE, ("amount", "currency")),
    Route("POST", f"{_INTENTS}/{{id}}", payment_intents.update, _UPDATE),
    Route("POST", f"{_INTENTS}/{{id}}/confirm", payment_intents.confirm, _CONFIRM),
    Route("POST", f"{_INTENTS}/{{id}}/capture", payment_intents.capture, _CAPTURE),
    Route(
        "POST",
        f"{_INTENTS}/{{id}}/cancel",
        payment_intents.cancel,
        {"cancellation_reason": _CANCELLATION},
    ),
    Route(
        "GET", f"{_INTENTS}/{{id}}", payment_intents.retrieve, {"client_secret": _TEXT}
    ),
    Route("POST", _REFUNDS, stripe_refunds.create, _REFUND),
    Route("POST", f"{_REFUNDS}/{{id}}", stripe_refunds.update, {"metadata": _WORDS}),
    Route("POST", f"{_REFUNDS}/{{id}}/cancel", stripe_refunds.cancel),
    Route(
        "POST", f"{_CHARGES}/{{id}}", stripe_charges.update,
        {"metadata": _WORDS, "description": _TEXT},
    ),
    Route(
        "POST",
        f"{_DISPUTES}/{{id}}",
        stripe_disputes.update,
        {"evidence": _ANY, "metadata": _WORDS, "submit": _BOOL},
    ),
    Route("POST", f"{_DISPUTES}/{{id}}/close", stripe_disputes.close),
    Route("POST", _CUSTOMERS, customers.create, _CUSTOMER),
    Route("DELETE", f"{_CUSTOMERS}/{{id}}", customers.delete),
    Route(
        "POST", _METHODS, customers.create_method,
        {"type": forms.either("card"), "card": _ANY, "metadata": _WORDS, "billing_details": _ANY},
        ("type",),
    ),
    Route("POST", f"{_METHODS}/{{id}}/attach", customers.attach, {"customer": _TEXT},
          ("customer",)),
    Route("POST", f"{_METHODS}/{{id}}/detach", customers.detach),
    Route("GET", f"{_METHODS}/{{id}}", customers.retrieve_method),
    *(
        Route("GET", f"{LISTINGS[kind].url}/{{id}}", _retrieve(kind))
        for kind in ("charge", "refund", "dispute", "balance_transaction", "payout", "event",
                     "customer")
    ),
    *(Route("GET", one.url, one.page, one.takes) for one in LISTINGS.values()),
]  # fmt: skip

TURNS: dict[str, Turn] = {
    **confirming.TURNS,
    **stripe_disputes.TURNS,
    **stripe_refunds.TURNS,
    "hold_expires": payment_intents.expire,
}


def route_for(method: str, path: str) -> tuple[Route, str] | None:
    """The endpoint, and the id in its path."""
    for route in ROUTES:
        if route.method == method and (found := route.pattern.fullmatch(path)):
            return route, found.groupdict().get("id", "")
    return None
