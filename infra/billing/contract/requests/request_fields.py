"""The types of fields, and what all requests share.

The rules of `rules` are marked beside each type, so that a schema shows them, too.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, ClassVar, ParamSpec, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from infra.billing.contract.card_data import holds_card_data, is_called_a_code
from infra.billing.contract.ids import MADE_PREFIXES, PREFIXES, fingerprint
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.limits import (
    DESCRIPTOR_MAX,
    LONG_TEXT_MAX,
    METADATA_KEY_MAX,
    METADATA_KEYS_MAX,
    METADATA_VALUE_MAX,
    QUANTITY_MAX,
    TEXT_MAX,
    URL_MAX,
)
from infra.billing.contract.moments import rfc3339
from infra.billing.contract.money import AMOUNT_MAX, minor_amount
from infra.billing.contract.requests.rules import (
    at_most,
    between,
    bounds,
    card_data,
    characters,
    id_of,
    id_schema,
    is_judged,
    lengths,
    rule,
)
from infra.billing.contract.texts import PRODUCER, PRODUCER_MUST, PRODUCER_NAME

T = TypeVar("T")
P = ParamSpec("P")

# The rules as JSON Schema. Not as pydantic's own patterns and bounds, which would refuse with other
# texts, cost time, and apply to what was accepted before them.
MONEY: JsonDict = bounds(1, AMOUNT_MAX)

Text = Annotated[str, Field(json_schema_extra=lengths(1, TEXT_MAX)), characters(1, TEXT_MAX)]
LongText = Annotated[
    str, Field(json_schema_extra=lengths(0, LONG_TEXT_MAX)), characters(0, LONG_TEXT_MAX)
]


def _no_code(metadata: Mapping[str, str | None]) -> None:
    """A card's code can't be recognised by a name or a value alone."""
    if any(is_called_a_code(name, value or "") for name, value in metadata.items()):
        raise card_data()


MetadataKey = Annotated[str, characters(1, METADATA_KEY_MAX)]
MetadataValue = Annotated[
    str, Field(json_schema_extra=lengths(0, METADATA_VALUE_MAX)), characters(0, METADATA_VALUE_MAX)
]
_METADATA: JsonDict = {
    "maxProperties": METADATA_KEYS_MAX,
    "propertyNames": lengths(1, METADATA_KEY_MAX),
}
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(json_schema_extra=_METADATA),
    at_most(METADATA_KEYS_MAX),
    rule(_no_code),
]
MetadataChanges = Annotated[
    dict[MetadataKey, MetadataValue | None],
    Field(json_schema_extra=_METADATA),
    at_most(METADATA_KEYS_MAX),
    rule(_no_code),
]


def _producer(value: str, info: ValidationInfo) -> str:
    if not PRODUCER_NAME.fullmatch(value):
        raise PydanticCustomError("producer", PRODUCER_MUST)
    if is_judged(info) and holds_card_data(value):
        raise card_data()
    return value


ProducerName = Annotated[
    str,
    Field(json_schema_extra={"pattern": f"^{PRODUCER}$"}),
    AfterValidator(_producer),
]


# https, or http on this machine; no user name; and in ASCII, as it is written on the wire.
_PAGE = (
    r"(https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])|http://(localhost|127\.0\.0\.1|\[::1\]))"
    r"(:[0-9]{1,5})?([/?#][!-~]*)?"
)


def _page(value: str) -> None:
    if not re.fullmatch(_PAGE, value):
        raise PydanticCustomError(
            "page",
            "must be a page that a browser can be sent to, like https://shop.example.com/paid;"
            " http:// only on localhost, and no user name in it",
        )


Page = Annotated[
    str,
    Field(json_schema_extra=lengths(1, URL_MAX, pattern=f"^{_PAGE}$")),
    characters(1, URL_MAX),
    rule(_page),
]

# As card networks print it: https://docs.stripe.com/get-started/account/statement-descriptors.
_PRINTED = r"[ !#-&()+-;=?-\[\]-~]*"
_DESCRIPTOR = rf"{_PRINTED}[A-Za-z]{_PRINTED}"


def _descriptor(text: str) -> None:
    if not re.fullmatch(_DESCRIPTOR, text):
        raise PydanticCustomError("descriptor", "must be ASCII with a letter, and no < > \\ ' \" *")


StatementDescriptor = Annotated[
    str,
    Field(json_schema_extra=lengths(1, DESCRIPTOR_MAX, pattern=f"^{_DESCRIPTOR}$")),
    characters(1, DESCRIPTOR_MAX),
    rule(_descriptor),
]

_EMAIL = r"[!-?A-~]+@[!-?A-~]+"


def _email(text: str) -> None:
    if not re.fullmatch(_EMAIL, text):
        raise PydanticCustomError("email", "must be an e-mail address, such as ada@example.com")


Email = Annotated[
    str,
    Field(json_schema_extra=lengths(3, 254, pattern=f"^{_EMAIL}$")),
    characters(3, 254),
    rule(_email),
]

Quantity = Annotated[
    int, Field(json_schema_extra=bounds(1, QUANTITY_MAX)), between(1, QUANTITY_MAX)
]
# None, too.
Stock = Annotated[int, Field(json_schema_extra=bounds(0, QUANTITY_MAX)), between(0, QUANTITY_MAX)]

ChargeId = Annotated[
    Text,
    Field(
        json_schema_extra=id_schema(PREFIXES["charge"]),
        examples=["ch_3uvsrh44memag4sj6rp4mz6jzdcu7afd"],
    ),
    id_of(PREFIXES["charge"], "a charge"),
]
ProductId = Annotated[
    Text,
    Field(
        json_schema_extra=id_schema(MADE_PREFIXES["product"]),
        examples=["prod_57ikdvzo4mb4d7q5l3fdlyhxgmkgxwup"],
    ),
    id_of(MADE_PREFIXES["product"], "a product"),
]


class Asked(BaseModel):
    """A request or a part of one: no other fields than these, and no values of another type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    def sent(self) -> dict[str, Any]:
        """The given fields, as a message carries them. (A third of the time of `model_dump`, which
        looks for nested models that requests by message don't have.)"""
        said = self.model_fields_set
        return {
            name: rfc3339(value) if type(value) is datetime else value
            for name, value in self.__dict__.items()
            if name in said
        }

    def given(self) -> dict[str, Any]:
        """The given fields, as they were read."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Keyed(Asked):
    """The producer and the idempotency key."""

    idempotency_key: Text = Field(
        description="The caller's name for this request. Under the same key the same request is"
        " the same object, for ever.",
        examples=["order-1001-charge"],
    )
    producer: ProducerName = Field(
        default="default",
        description="The service that asks. Keys of different producers never meet.",
        examples=["shop"],
    )

    # What today's rules object to, unless it was accepted before: `request_parser` sets it.
    against: ClassVar[Invalid | None] = None

    def asked(self) -> dict[str, Any]:
        """The request without the producer and the key: what the fingerprint covers.

        A field that is added to a request later must be absent from this while it is not used:
        repeats of older requests must stay the same requests.
        """
        return self.model_dump(exclude={"idempotency_key", "producer"}, exclude_none=True)

    @cached_property  # used at every step from acceptance to answer
    def fingerprint(self) -> str:
        return fingerprint(self.asked())


class Request(Keyed):
    """What every request has: the producer, the key, and the caller's own names and values."""

    metadata: Metadata = Field(
        default_factory=dict,
        description="The caller's own names and values, text to text.",
        examples=[{"cart": "42"}],
    )


class Changes(Asked):
    """What is sent changes, null unsets, and the rest stays. Defaults have no meaning here."""

    active: bool = Field(default=True, description="Whether it takes new charges.")
    metadata: MetadataChanges = Field(
        default_factory=dict,
        description="Merged into what is there: a name is set by text, and unset by null.",
        examples=[{"plan": "gold", "trial": None}],
    )


def refused(message: str) -> PydanticCustomError:
    """The error with which a validator refuses a field in its own words: a whole sentence."""
    return PydanticCustomError("told", "{said}", {"said": message})


def checked(check: Callable[P, T], *args: P.args, **context: P.kwargs) -> T:
    """The result of a rule of the contract; raises pydantic's error, as validators do."""
    try:
        return check(*args, **context)
    except Invalid as wrong:
        raise refused(str(wrong)) from None


def minor(value: Any, info: ValidationInfo) -> int:
    """An amount in minor units of the field `currency`, if there is one."""
    if not is_judged(info) and type(value) is int:
        return value
    return checked(minor_amount, value, currency=info.data.get("currency"))


def truth(value: Any, info: ValidationInfo) -> Any:
    """Yes or no; a text, as spreadsheets and many programs send, is refused with the fix."""
    if isinstance(value, str) and (fix := value.lower()) in ("true", "false"):
        name = info.field_name
        raise refused(f"{name} must be true or false, not the text {value!r}; send {name}={fix}")
    return value


def whole_number(least: int, most: int) -> WrapValidator:
    """A validator that names both bounds of a whole number, whatever is wrong with it: for queries,
    whose values are text."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> int:
        try:
            return int(handler(value))
        except ValidationError:
            raise PydanticCustomError(
                "whole_number", "not a whole number within bounds", {"least": least, "most": most}
            ) from None

    return WrapValidator(check)
