"""From fields to a request: what every field may hold, and how a refusal says what to send instead.

Every refusal names the field. Values never appear in a refusal unless they are short numbers or
codes: somebody will send a card number in the wrong field.
"""

import difflib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, ParamSpec, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from infra.billing.contract.card_data import CARD_DATA, holds_card_data, is_called_a_code
from infra.billing.contract.ids import fingerprint
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.limits import (
    LONG_TEXT_MAX,
    METADATA_KEY_MAX,
    METADATA_KEYS_MAX,
    METADATA_VALUE_MAX,
    TEXT_MAX,
)
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.texts import PRODUCER, PRODUCER_MUST, is_producer
from payments.errors import InvalidRequest
from payments.redaction import field_name
from payments.rules import (
    ANY_DAY,
    at_most,
    bounds,
    card_data,
    characters,
    lengths,
    rule,
    without_card_data,
)
from payments.sentences import sentence, sentence_of_metadata

# What the rules say, for those who read schemas. Not for pydantic: its own patterns and bounds
# would refuse in other words, cost time, and judge what was accepted before them.
MONEY: JsonDict = bounds(1, AMOUNT_MAX)

Text = Annotated[str, Field(json_schema_extra=lengths(1, TEXT_MAX)), characters(1, TEXT_MAX)]
LongText = Annotated[
    str, Field(json_schema_extra=lengths(0, LONG_TEXT_MAX)), characters(0, LONG_TEXT_MAX)
]


def _no_code(metadata: Mapping[str, str | None]) -> None:
    """Neither of a name nor of a value by itself can be told that it is a card's code."""
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


def _producer(value: str) -> str:
    if not is_producer(value):
        raise PydanticCustomError("producer", PRODUCER_MUST)
    return value


ProducerName = Annotated[
    str,
    Field(json_schema_extra={"pattern": f"^{PRODUCER}$"}),
    AfterValidator(_producer),
    rule(without_card_data),
]


class Keyed(BaseModel):
    """Who asks, and under which key."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    _against: InvalidRequest | None = PrivateAttr(default=None)

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

    @property
    def against(self) -> InvalidRequest | None:
        """What today's rules say against it, unless it was accepted before."""
        return self._against

    def asked(self) -> dict[str, Any]:
        """The request without who asked and under which key: what the fingerprint covers.

        What is added to a request later must be absent from this while it is not used: the repeats
        of requests that are older than it are the same requests.
        """
        return self.model_dump(exclude={"idempotency_key", "producer"}, exclude_none=True)

    @cached_property  # asked for at every step from acceptance to answer
    def fingerprint(self) -> str:
        return fingerprint(self.asked())


class Request(Keyed):
    """What every request has: who asks, under which key, and the caller's own names and values."""

    metadata: Metadata = Field(
        default_factory=dict,
        description="The caller's own names and values, text to text.",
        examples=[{"cart": "42"}],
    )


R = TypeVar("R", bound=BaseModel)
K = TypeVar("K", bound=Keyed)
T = TypeVar("T")
P = ParamSpec("P")


def read(model: type[K], fields: Mapping[str, Any]) -> K:
    """The request that `fields` make, with what today's rules say against it beside it (`against`):
    whoever accepts it looks its key up first, and judges what is new.

    Raises InvalidRequest for what makes no request on any day.
    """
    try:
        return parse(model, fields)
    except InvalidRequest as against:
        try:
            request = parse(model, fields, day=ANY_DAY)
        except InvalidRequest:
            raise against from None
        request._against = against.with_traceback(None)  # noqa: SLF001  # set here, and nowhere else
        return request


def parse(model: type[R], fields: Mapping[str, Any], *, day: str | None = None) -> R:
    """The request that `fields` make by the rules of today, or InvalidRequest naming the field and
    the fix. With `day` ANY_DAY, no rule of today judges it."""
    if "args" in fields:  # they came by position, in a message (tasks/requests.py)
        raise InvalidRequest("send the fields by name, not by position", param="args")
    # Before what is missing: a name that is misspelled is both, and only this tells which.
    for name in fields:
        if name not in model.model_fields:
            raise _unknown(model, field_name(name))
    # In what is made, null is how many clients say "absent"; in what changes, it unsets.
    unsets = "producer" not in model.model_fields
    given = {name: value for name, value in fields.items() if unsets or value is not None}
    try:
        return model.model_validate(given, context=day)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
    loc, wrong_is = first["loc"], (first["type"], first["msg"], first.get("ctx", {}))
    param = field_name(loc[0]) if loc else None
    if param == "metadata":
        raise InvalidRequest(sentence_of_metadata(len(loc), *wrong_is), param=param)
    raise InvalidRequest(sentence(_place(loc), *wrong_is), param=param)


def refuse_card_data(param: str, text: str) -> None:
    """Raises InvalidRequest for a text that holds card data."""
    if holds_card_data(text):
        raise InvalidRequest(f"{param} {CARD_DATA}", param=param)


def refusing(check: Callable[P, T], *args: P.args, **context: P.kwargs) -> T:
    """What a rule of the contract makes of a value. Raises InvalidRequest in its words."""
    try:
        return check(*args, **context)
    except Invalid as wrong:
        raise InvalidRequest(str(wrong), param=wrong.param) from None


def refused(message: str) -> PydanticCustomError:
    """What a validator raises to refuse a field in its own words: a whole sentence."""
    return PydanticCustomError("told", "{said}", {"said": message})


def whole_number(least: int, most: int) -> WrapValidator:
    """What makes a whole number say both of its bounds, whatever is wrong with it: those of
    queries, which come as text."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> int:
        try:
            return int(handler(value))
        except ValidationError:
            raise PydanticCustomError(
                "whole_number", "not a whole number within bounds", {"least": least, "most": most}
            ) from None

    return WrapValidator(check)


def merged(there: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Metadata with changes merged into it: a name is set by text, and unset by None.

    Raises InvalidRequest when that is too many.
    """
    both = {name: value for name, value in {**there, **changes}.items() if value is not None}
    if len(both) > METADATA_KEYS_MAX:
        raise InvalidRequest(
            f"metadata: with these it would have {len(both)} names, and {METADATA_KEYS_MAX} is the"
            " most; unset others with null",
            param="metadata",
        )
    return both


def _place(loc: tuple[int | str, ...]) -> str:
    """Where in the request, such as `tiers[1].unit_amount`; names from outside are not repeated."""
    place = field_name(loc[0]) if loc else None
    if place is None:
        return "the request"
    for part in loc[1:]:
        if isinstance(part, int):
            place += f"[{part}]"
        elif (name := field_name(part)) is not None:
            place += f".{name}"
    return place


def _unknown(model: type[BaseModel], name: str | None) -> InvalidRequest:
    # The names of unknown fields come from outside, too: anything else than a name is not told.
    said = repr(name) if name else "one of the names sent"
    known = list(model.model_fields)
    close = difflib.get_close_matches(name or "", known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return InvalidRequest(
        f"{said} is not a field{hint}; the fields are: {', '.join(known)}", param=name
    )


def checked(check: Callable[P, T], *args: P.args, **context: P.kwargs) -> T:
    """What a rule of the contract makes of a value; raises pydantic's error, as validators do."""
    try:
        return check(*args, **context)
    except Invalid as wrong:
        raise refused(str(wrong)) from None
