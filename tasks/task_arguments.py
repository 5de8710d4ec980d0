"""Reading a task's arguments: bad input is refused by name, never guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from infra.billing.contract.ids import is_id
from infra.billing.contract.texts import field_name
from payments.intake.timing import ANY_TIME, Timing
from payments.payment_errors import InvalidRequest
from payments.redaction import IDS_MAX

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a message asks of Celery beside its request: time limits, and what to call when it is
    done (by the names that Celery's users know: `link`, `link_error`, `chain`, `chord`)."""

    timing: Timing = ANY_TIME
    callbacks: tuple[str, ...] = ()
    # The trace that it belongs to: kept with what it creates.
    traceparent: str | None = None
    # The broker delivered it too often: the next worker may die of it, too.
    given_up: bool = False

    def over(self) -> "Wishes":
        """The same wishes, with a time limit that has certainly passed."""
        return replace(self, timing=replace(self.timing, good_until=LONG_AGO))

    def refuse_callbacks(self) -> None:
        """Raise InvalidRequest for callbacks: everyone who can write to the broker could run any
        task with them, and that it ran twice, or not at all, would go unnoticed."""
        if self.callbacks:
            raise InvalidRequest(
                f"{self.callbacks[0]} is not carried out: a webhook tells what became of a charge"
                " or refund (`billing endpoint add`); send the message without it",
                param=self.callbacks[0],
            )


NOTHING_ELSE = Wishes()


def wishes(request: Any) -> Wishes:
    """What the message of a task asks for besides its arguments."""
    found: Wishes | None = request.get("wishes")
    return found or NOTHING_ELSE


def of_message(request: Any) -> dict[str, Any]:
    """What the handlers need to know about the message of a request."""
    return {"task_id": request.id, "wishes": wishes(request)}


def only_keywords(args: Sequence[Any], request: Any) -> None:
    """Refuse positional arguments, which have no names, and callbacks, for every task."""
    wishes(request).refuse_callbacks()
    if args:
        raise InvalidRequest("send keyword arguments, not positional ones", param="args")


def by_name(args: Sequence[Any], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a request. Positional arguments become a field that no request has, so that it
    is refused, kept and published like any other with an unknown field."""
    return {**fields, "args": list(args)} if args else fields


def keyed(fields: Mapping[str, Any], task_id: str) -> dict[str, Any]:
    """The fields of a request, with a key. Celery's own task id survives redelivery, so it is as
    good a key as any; null is how foreign clients say "absent"."""
    key = fields.get("idempotency_key")
    return {**fields, "idempotency_key": task_id if key is None else key}


def nothing(args: Sequence[Any], fields: Mapping[str, Any], request: Any) -> None:
    """A sweep needs no arguments; a message with some means another task."""
    wishes(request).refuse_callbacks()
    if args or fields:
        raise InvalidRequest("this task takes no arguments")


def id_field(fields: Mapping[str, Any], name: str, prefix: str) -> str:
    """The one required field, one of our ids. Anything else is not even quoted."""
    if unknown := [field for field in fields if field != name]:
        param = field_name(unknown[0])
        sent = repr(param) if param else "one of the names sent"
        raise InvalidRequest(f"{sent} is not a field; send {name}", param=param)
    value = fields.get(name)
    if not isinstance(value, str) or not is_id(value, prefix):
        raise InvalidRequest(f"{name} must be an id ({prefix}…)", param=name)
    return value


def ids_field(fields: Mapping[str, Any], name: str, prefix: str) -> list[str]:
    """The same for a field `name`, or `name` + "s" with a list of IDS_MAX ids at most."""
    many = f"{name}s"
    if many not in fields or name in fields:
        return [id_field(fields, name, prefix)]
    values = fields[many]
    if len(fields) > 1:
        raise InvalidRequest(f"send {many} alone", param=many)
    if not isinstance(values, list) or not 0 < len(values) <= IDS_MAX:
        raise InvalidRequest(f"{many} must be a list of 1 to {IDS_MAX} ids", param=many)
    if not all(isinstance(value, str) and is_id(value, prefix) for value in values):
        raise InvalidRequest(f"each of {many} must be an id ({prefix}…)", param=many)
    return values
