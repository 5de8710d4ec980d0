"""The options of `charge create` and `refund create`: one for each field of what may be asked.

The models are looked at when the command is, so that `billing --help` answers at once.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import typer

from cli import input_values, usage

if TYPE_CHECKING:
    from infra.billing.contract.ids import Kind

# Every command that asks for something has these, in words of its own.
COMMON = ("idempotency_key", "producer", "metadata")


class Asks(usage.Command):
    """A command with an option for each field of a model, but for those that are its own."""

    kind: ClassVar["Kind"]
    _is_made = False
    _fields: list[Any] | None = None

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._is_made = True

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

        options = [one for one in _options(self.kind) if one.name not in own]
        asks.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        asks.__annotations__ = {one.name: one.annotation for one in options}
        alone = typer.Typer(add_completion=False)
        alone.command()(asks)
        made = typer.main.get_command(alone).params
        return [one for one in made if one.name in asks.__annotations__]  # and no help of its own


class Charge(Asks):
    """Asks for a charge."""

    kind = "charge"


class Refund(Asks):
    """Asks for a refund."""

    kind = "refund"


def typed(ctx: typer.Context, kind: "Kind") -> dict[str, Any]:
    """What was typed of the fields, for the rules to judge."""
    from infra.billing.contract.requests.by_kind import MODELS

    fields = MODELS[kind].model_fields
    return {
        name: input_values.reader(fields[name].annotation)(value)
        if isinstance(value, str)
        else value
        for name, value in ctx.meta[__name__].items()
        if value not in (None, False)
    }


def _options(kind: "Kind") -> Iterator[inspect.Parameter]:
    """An option for each field, called as the field without its unit, or that it is an id."""
    from infra.billing.contract.requests.by_kind import MODELS

    fields = MODELS[kind].model_fields
    names = {name: f"--{re.sub('_(id|s)$', '', name).replace('_', '-')}" for name in fields}
    for name, field in fields.items():
        is_truth = input_values.reader(field.annotation) is input_values.truth
        option = typer.Option(
            False if is_truth else None,
            names[name],
            metavar="SECONDS" if name.endswith("_s") else None,
            help=_in_options(field.description or "", names),
        )
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=option,
            annotation=bool if is_truth else str | None,
        )


def _in_options(said: str, names: Mapping[str, str]) -> str:
    """What is said of a field, with options in place of fields, and without Markdown."""
    return re.sub("`([^`]*)`", lambda quoted: names.get(quoted[1], quoted[1]), said)
