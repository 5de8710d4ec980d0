"""A charge, as it is asked for: an amount, or what units of a price cost."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, ValidationInfo, field_validator

from infra.billing.contract.card_data import is_card_number
from infra.billing.contract.ids import id_from_key
from infra.billing.contract.limits import DESCRIPTOR_MAX, EXPIRES_MAX_S
from infra.billing.contract.moments import ahead, rfc3339
from infra.billing.contract.money import (
    AMOUNT_MAX,
    currency_code,
    is_currency_code,
    is_payable,
    not_payable,
)
from infra.billing.contract.requests.request_fields import (
    MONEY,
    Email,
    LongText,
    Page,
    Quantity,
    Request,
    StatementDescriptor,
    Text,
    checked,
    minor,
    refused,
)
from infra.billing.contract.requests.rules import between, bounds, card_data, is_dated, is_judged

# What is charged: an amount, or what a price says. A charge has all of one, and of the other
# nothing; each field with its type in JSON.
WAYS: tuple[Mapping[str, str], Mapping[str, str]] = (
    {"amount": "integer", "currency": "string"},
    {"price_id": "string", "quantity": "integer"},
)
# What goes with a price only, and may be absent.
BY_PRICE: Mapping[str, str] = {"expected_amount": "integer"}
# A currency without an amount means that the caller has chosen an amount; the first missing field
# names the choice.
_OTHER_WAY = ", unless you send price_id and quantity in place of amount and currency"


class ChargeRequest(Request):
    """Take `amount` minor units of `currency`, or what `quantity` units of a price cost, once."""

    # What is asked for stands first, as refusals of the others depend on it; and the currency
    # before the amount, whose refusals name the right fix for it.
    price_id: Text | None = Field(
        default=None,
        description="The id of a price, or its lookup key: in place of amount and currency.",
        examples=["price_s6vnkcnhrfrcaxwxzcg7icbqqlmefiwo"],
    )
    quantity: Quantity | None = Field(
        default=None,
        validate_default=True,
        description="How many units of the price. Its stock is held for the charge.",
        examples=[2],
    )
    currency: Annotated[str, Field(json_schema_extra={"pattern": "^[A-Za-z]{3}$"})] | None = Field(
        default=None,
        validate_default=True,
        description="ISO 4217, in any case.",
        examples=["USD"],
    )
    amount: Annotated[int, Field(json_schema_extra=MONEY)] | None = Field(
        default=None,
        validate_default=True,
        description="In minor units of `currency`, written without a decimal point: 1999 is 19.99"
        " USD, 500 is 500 JPY. A float is refused, even 5.0.",
        examples=[1999],
    )
    expected_amount: (
        Annotated[int, Field(json_schema_extra=MONEY), between(1, AMOUNT_MAX)] | None
    ) = Field(
        default=None,
        description="With `price_id`: what the caller was told that it costs, in minor units of the"
        " price's currency. Unless it is what it costs now, nothing is charged.",
        examples=[4000],
    )
    customer_id: Text | None = Field(
        default=None, description="The caller's id of the customer who pays.", examples=["cus_123"]
    )
    payment_method_id: Text | None = Field(
        default=None,
        description="The processor's id of what is charged. Never a card number.",
        examples=["pm_card_visa"],
    )
    reference: Text | None = Field(
        default=None,
        description="The caller's own order: at most one pending or succeeded charge has it.",
        examples=["order-1001"],
    )
    description: LongText | None = Field(
        default=None, description="For people.", examples=["Two tickets"]
    )
    statement_descriptor: StatementDescriptor | None = Field(
        default=None,
        description="What the customer's bank statement says, where the processor lets it be said:"
        f" at most {DESCRIPTOR_MAX} characters, plain ASCII with a letter, and none of"
        " < > \\ ' \" *. Behind the account's own name, if that is how the processor writes it.",
        examples=["TICKETS 1001"],
    )
    receipt_email: Email | None = Field(
        default=None,
        description="Where the processor sends a receipt, if it sends any. Shown nowhere.",
        examples=["ada@example.com"],
    )

    capture: Literal["automatic", "manual"] = Field(
        default="automatic",
        description="`manual`: only set the money aside (`authorized`), and take it when the charge"
        " is captured. What is not captured in time (`capture_before`) is let go of.",
    )
    # The same moment in another zone is the same moment.
    scheduled_at: Annotated[datetime, PlainSerializer(rfc3339)] | None = Field(
        default=None,
        description="When to take the money, up to a year ahead: RFC 3339 with a zone. What passed"
        " less than a week ago is now. It can be canceled until then.",
        examples=["2026-12-01T08:00:00Z"],
    )
    expires_in_s: (
        Annotated[int, Field(json_schema_extra=bounds(1, EXPIRES_MAX_S)), between(1, EXPIRES_MAX_S)]
        | None
    ) = Field(
        default=None,
        description="Cancel the charge if it has not succeeded this many seconds after it was"
        " accepted, or after `scheduled_at`. Absent: it waits for its customer for a day, unless"
        " the service is set up otherwise.",
        examples=[3600],
    )

    return_url: Page | None = Field(
        default=None,
        description="The customer is there, and their bank may want to see them: then the charge"
        " waits with a `next_action`, whose `url` is where to send them, and here they come back"
        " to. Without it nobody is there, and what needs them is declined"
        " (`authentication_required`). Not with `scheduled_at`.",
        examples=["https://shop.example.com/orders/1001/paid"],
    )

    @field_validator("return_url", mode="before")
    @classmethod
    def _return_url(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("scheduled_at") is not None:
            raise refused(
                "return_url is for a customer who is there now; send it without scheduled_at"
            )
        return value

    @field_validator("scheduled_at", mode="before")
    @classmethod
    def _scheduled_at(cls, value: Any, info: ValidationInfo) -> datetime | None:
        if value is None:
            return None
        return checked(
            ahead, "scheduled_at", value, is_judged=is_judged(info), may_be_past=not is_dated(info)
        )

    @field_validator("quantity", mode="before")
    @classmethod
    def _quantity(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.data.get("price_id") is not None:
            raise refused("quantity is required with price_id: how many units of it")
        if value is not None and info.data.get("price_id") is None:
            raise refused("quantity counts the units of a price; send price_id, too")
        return value

    @field_validator("currency", mode="before")
    @classmethod
    def _currency(cls, value: Any, info: ValidationInfo) -> str | None:
        if _goes_without("currency", value, info):
            return None
        if not is_judged(info) and is_currency_code(value):
            return str(value).upper()
        code = checked(currency_code, value)
        if is_dated(info) and not is_payable(code):
            raise refused(not_payable(code))
        return code

    @field_validator("amount", mode="before")
    @classmethod
    def _amount(cls, value: Any, info: ValidationInfo) -> int | None:
        if _goes_without("amount", value, info):
            return None
        return minor(value, info)

    @field_validator("expected_amount", mode="before")
    @classmethod
    def _expected_amount(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("price_id") is None:
            raise refused(
                "expected_amount is held against what a price comes to; send price_id, too"
            )
        return value

    @field_validator("payment_method_id")
    @classmethod
    def _no_card_number(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and is_judged(info) and is_card_number(value):
            raise card_data()
        return value

    def asked(self) -> dict[str, Any]:
        """As ever. To take the money at once is what every charge was that is older than this."""
        asked = super().asked()
        if self.capture == "automatic":
            del asked["capture"]
        return asked

    @cached_property
    def id(self) -> str:
        return id_from_key("charge", producer=self.producer, key=self.idempotency_key)


def _goes_without(name: str, value: Any, info: ValidationInfo) -> bool:
    """Whether the field is absent, and rightly so: the price determines the amount."""
    by_price = info.data.get("price_id") is not None
    if by_price and value is not None:
        raise refused(
            f"{name} is what the price says; send price_id and quantity, or amount and currency"
        )
    if not by_price and value is None:
        raise refused(f"{name} is required{_OTHER_WAY if name == 'currency' else ''}")
    return by_price
