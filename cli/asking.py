"""The options of commands that make a request: one for each field of the request.

The models are read when a command runs, so that `billing --help` answers at once.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from cli import input_values, naming, usage

if TYPE_CHECKING:
    from pydantic import BaseModel

# Every such command has its own versions of these.
COMMON = ("idempotency_key", "producer", "metadata")


class Asks(usage.Command):
    """A command with an option for each field of a model, except its own options."""

    _is_made = False
    _fields: list[Any] | None = None

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._is_made = True

    @staticmethod
    def model() -> "type[BaseModel]":
        """What is asked for."""
        raise NotImplementedError

    @property
    def params(self) -> list[Any]:
        """The options of the fields, and its own behind them."""
        if self._is_made and self._fields is None:
            self._fields = self._of_fields()
            self._params[:0] = self._fields
        return self._params

    @params.setter
    def params(self, own: list[Any]) -> None:
        self._params = own

    def invoke(self, ctx: Any) -> Any:
        """Run it; what was typed of the fields is for `typed`."""
        ctx.meta[__name__] = {one.name: ctx.params.pop(one.name) for one in self._fields or ()}
        return super().invoke(ctx)

    def _of_fields(self) -> list[Any]:
        own = {*COMMON, *(one.name for one in self._params)}

        def asks() -> None: ...

        fields = _options(self.model())
        options = [one for one in fields if not {one.name, naming.OTHERWISE.get(one.name)} & own]
        asks.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        asks.__annotations__ = {one.name: one.annotation for one in options}
        alone = typer.Typer(add_completion=False)
        alone.command()(asks)
        made = typer.main.get_command(alone).params
        return [one for one in made if one.name in asks.__annotations__]  # and no help of its own


class Charge(Asks):
    """Asks for a charge."""

    @staticmethod
    def model() -> "type[BaseModel]":
        from infra.billing.contract.requests.charge_request import ChargeRequest

        return ChargeRequest


class Refund(Asks):
    """Asks for a refund."""

    @staticmethod
    def model() -> "type[BaseModel]":
        from infra.billing.contract.requests.refund_request import RefundRequest

        return RefundRequest


class Endpoint(Asks):
    """Asks for a webhook endpoint, or that its settings change."""

    @staticmethod
    def model() -> "type[BaseModel]":
        from infra.billing.contract.requests.endpoint_request import EndpointSettings

        return EndpointSettings


def typed(ctx: typer.Context) -> dict[str, Any]:
    """The typed fields, to be checked by the rules."""
    said = _read(ctx).items()
    return {name: value for name, value in said if value is not None and value is not False}


def changes(ctx: typer.Context) -> dict[str, Any]:
    """The same for changes: an option that was typed empty unsets the field."""
    return {name: None if value == "" else value for name, value in typed(ctx).items()}


def _read(ctx: typer.Context) -> dict[str, Any]:
    fields = ctx.command.model().model_fields  # type: ignore[attr-defined]  # one that Asks
    return {
        name: input_values.reader(fields[name].annotation)(value)
        if isinstance(value, str) and value
        else value
        for name, value in ctx.meta[__name__].items()
    }


def _options(model: "type[BaseModel]") -> Iterator[inspect.Parameter]:
    """An option for each field, named like the field without its unit and `_id`."""
    fields = model.model_fields
    names = {name: f"--{re.sub('_(id|s)$', '', name).replace('_', '-')}" for name in fields}
    for name, field in fields.items():
        is_truth = input_values.reader(field.annotation) is input_values.truth
        option = typer.Option(
            False if is_truth else None,
            names[name],
            metavar="SECONDS" if name.endswith("_s") else None,
            help=_in_options(field.description or "", names) + _bounds(field),
        )
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=option,
            annotation=bool if is_truth else str | None,
        )


def _in_options(said: str, names: Mapping[str, str]) -> str:
    """A field's description, with options in place of fields, and without Markdown."""
    return re.sub("`([^`]*)`", lambda quoted: names.get(quoted[1], quoted[1]), said)


def _bounds(field: Any) -> str:
    """The bounds of a number, if its type has them, and its default."""
    marks = [
        mark
        for one in (field, *input_values.kinds(field.annotation))
        for mark in getattr(one, "metadata", ())
    ]
    found = {
        name: getattr(mark, name) for mark in marks for name in ("ge", "le") if hasattr(mark, name)
    }
    if found.keys() < {"ge", "le"}:
        return ""
    default = "" if field.default is None else f" ({field.default})"
    return f" {found['ge']} to {found['le']}{default}."
