"""What may be asked: the requests for a charge and a refund, checked before anything is written.

Every refusal names the field and says what to send instead. Values never appear in a refusal
unless they are short numbers or codes: somebody will send a card number in the wrong field.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from models.ids import fingerprint, id_from_key
from models.money import AMOUNT_MAX, MoneyError, currency_code, minor_amount
from models.texts import PATTERN, is_storable
from payments.errors import InvalidRequest
from payments.redaction import field_name, is_card_number

KEY_MAX = 255  # Stripe's limit for an idempotency key.
METADATA_KEYS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX = 50, 40, 500  # Stripe's limits.
_PRODUCER = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _storable(text: str) -> str:
    if not is_storable(text):
        raise PydanticCustomError("text", "must not contain control characters")
    return text


# What `_storable` and other checks of ours say, for those who read schemas. Not for pydantic: its
# own patterns and bounds would refuse in other words, and cost time.
_NO_CONTROLS: JsonDict = {"pattern": PATTERN}
_MONEY: JsonDict = {"minimum": 1, "maximum": AMOUNT_MAX}

Text = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra=_NO_CONTROLS),
    AfterValidator(_storable),
]
LongText = Annotated[
    str, Field(max_length=1000, json_schema_extra=_NO_CONTROLS), AfterValidator(_storable)
]
MetadataKey = Annotated[
    str, Field(min_length=1, max_length=METADATA_KEY_MAX), AfterValidator(_storable)
]
MetadataValue = Annotated[
    str,
    Field(max_length=METADATA_VALUE_MAX, json_schema_extra=_NO_CONTROLS),
    AfterValidator(_storable),
]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(
        max_length=METADATA_KEYS_MAX,
        json_schema_extra=lambda schema: schema["propertyNames"].update(_NO_CONTROLS),
    ),
]


class _Request(BaseModel):
    """What every request has: who asks, and under which key."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    # Fields that are to come, and what to send until then.
    NOT_YET: ClassVar[Mapping[str, str]] = {}

    idempotency_key: Text = Field(
        description="The caller's name for this request. Under the same key the same request is"
        " the same charge or refund, for ever.",
        examples=["order-1001-charge"],
    )
    producer: str = Field(
        default="default",
        description="The service that asks. Keys of different producers never meet.",
        json_schema_extra={"pattern": f"^{_PRODUCER.pattern}$"},
        examples=["shop"],
    )
    metadata: Metadata = Field(
        default_factory=dict,
        description="The caller's own names and values, text to text.",
        examples=[{"cart": "42"}],
    )

    @field_validator("producer")
    @classmethod
    def _producer(cls, value: str) -> str:
        if not _PRODUCER.fullmatch(value):
            raise PydanticCustomError(
                "producer", "must be 1 to 64 letters, digits, dots, dashes or underscores"
            )
        return value

    def asked(self) -> dict[str, Any]:
        """The request without who asked and under which key: what the fingerprint covers."""
        return self.model_dump(exclude={"idempotency_key", "producer"}, exclude_none=True)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.asked())


class ChargeRequest(_Request):
    """Take `amount` minor units of `currency`, once."""

    NOT_YET = dict.fromkeys(
        ("price_id", "quantity"), "charges by price are not there yet; send amount and currency"
    )

    # The currency stands before the amount, whose refusals name the right fix for it.
    currency: str = Field(
        description="ISO 4217, in any case.",
        json_schema_extra={"pattern": "^[A-Za-z]{3}$"},
        examples=["USD"],
    )
    amount: int = Field(
        description="In minor units of `currency`, written without a decimal point: 1999 is 19.99"
        " USD, 500 is 500 JPY. A float is refused, even 5.0.",
        json_schema_extra=_MONEY,
        examples=[1999],
    )
    customer_id: Text | None = Field(
        default=None, description="The caller's id of who pays.", examples=["cus_123"]
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

    @field_validator("currency", mode="before")
    @classmethod
    def _currency(cls, value: Any) -> str:
        return _money(currency_code, value)

    @field_validator("amount", mode="before")
    @classmethod
    def _amount(cls, value: Any, info: ValidationInfo) -> int:
        return _money(minor_amount, value, currency=info.data.get("currency"))

    @field_validator("payment_method_id")
    @classmethod
    def _no_card_number(cls, value: str | None) -> str | None:
        if value is not None and is_card_number(value):
            raise PydanticCustomError(
                "card_number",
                "must be the processor's id of a payment method (pm_…), never a card number",
            )
        return value

    @property
    def id(self) -> str:
        return id_from_key("charge", producer=self.producer, key=self.idempotency_key)


class RefundRequest(_Request):
    """Give back `amount` minor units of a charge, or all that is left of it."""

    charge_id: Text = Field(
        description="The charge to refund. Its message may still be on its way: the refund waits.",
        json_schema_extra={"pattern": r"^ch_[^\u0000-\u001F\u007F]*$"},
        examples=["ch_3uvsrh44memag4sj6rp4mz6jzdcu7afd"],
    )
    amount: Annotated[int, Field(json_schema_extra=_MONEY)] | None = Field(
        default=None,
        description="In minor units of the charge's currency. Absent: all that is left.",
        examples=[500],
    )
    reason: LongText | None = Field(
        default=None, description="For people.", examples=["one seat too many"]
    )
    if_pending: Literal["wait", "reject"] = Field(
        default="wait",
        description="What to do while the charge is pending: wait for it, or refuse the refund.",
    )
    expected_refunded_amount: int | None = Field(
        default=None,
        ge=0,
        le=AMOUNT_MAX,
        description="Refuse the refund unless exactly so much went back or is on its way: for two"
        " people at two tills.",
        examples=[0],
    )

    @field_validator("amount", mode="before")
    @classmethod
    def _amount(cls, value: Any) -> int | None:
        return None if value is None else _money(minor_amount, value)

    @field_validator("charge_id")
    @classmethod
    def _charge_id(cls, value: str) -> str:
        if not value.startswith("ch_"):
            raise PydanticCustomError("charge_id", "must be the id of a charge (ch_…)")
        return value

    @property
    def id(self) -> str:
        return id_from_key("refund", producer=self.producer, key=self.idempotency_key)


_R = TypeVar("_R", bound=_Request)
_T = TypeVar("_T")


def parse(model: type[_R], fields: Mapping[str, Any]) -> _R:
    """The request that `fields` make, or InvalidRequest naming the field and the fix."""
    if "args" in fields:  # they came by position, in a message (tasks/requests.py)
        raise InvalidRequest("send the fields by name, not by position", param="args")
    # Next: who asks by price sends no currency, and must not be told to.
    for name in model.NOT_YET:
        if name in fields:
            raise InvalidRequest(f"{name}: {model.NOT_YET[name]}", param=name)
    # Before what is missing: a name that is misspelled is both, and only this tells which.
    for name in fields:
        if name not in model.model_fields:
            raise _unknown(model, field_name(name))
    try:
        return model.model_validate(dict(fields))
    except ValidationError as refused:
        first = refused.errors(include_url=False, include_input=False)[0]
    param = field_name(first["loc"][0]) if first["loc"] else None
    raise InvalidRequest(_sentence(model, param, first["type"], first["msg"]), param=param)


def _sentence(model: type[_Request], param: str | None, kind: str, message: str) -> str:
    match kind:
        case "missing":
            return f"{param} is required"
        case "money":
            return message
        case "string_type" | "string_unicode" if param != "metadata":
            return f"{param} must be text"
        case "string_type" | "string_unicode" | "dict_type":
            return f"{param} must be an object of text values"
        case "int_type":
            return f"{param} must be an integer"
        case _:
            return f"{param}: {message[:1].lower()}{message[1:]}"


def _unknown(model: type[_Request], name: str | None) -> InvalidRequest:
    # The names of unknown fields come from outside, too: anything else than a name is not told.
    said = repr(name) if name else "one of the names sent"
    known = list(model.model_fields)
    close = difflib.get_close_matches(name or "", known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return InvalidRequest(
        f"{said} is not a field{hint}; the fields are: {', '.join(known)}", param=name
    )


def _money(check: Callable[..., _T], value: Any, **context: Any) -> _T:
    try:
        return check(value, **context)
    except MoneyError as wrong:
        raise PydanticCustomError("money", "{fix}", {"fix": str(wrong)}) from None
