"""How commands show their arguments: PRICE, CHARGE_ID, as manuals write what is to be replaced."""

from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand


class Command(TyperCommand):
    """A command whose arguments are in capitals in its usage, its help and its errors.

    Typer's own usage says {price}, and [price] for what may be left out.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        for one in self.params:
            if isinstance(one, TyperArgument) and one.metavar is None:
                one.metavar = (one.name or "").strip("_").upper()

    def invoke(self, ctx: Any) -> Any:
        """Run it; a refusal then names its options, and no fields of the API."""
        from cli import naming, output

        try:
            return super().invoke(ctx)
        except output.Failed:
            raise
        except Exception as error:
            if (known := output.in_words(error)) is None:
                raise
            said = naming.in_options(str(known), self)
            raise output.Failed(said, code=known.code, param=known.param) from None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """`[OPTIONS] PRICE`."""
        return [
            piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)
        ]


def in_capitals(root: typer.Typer) -> None:
    """Make every command below a `Command`."""
    for command in root.registered_commands:
        if not (command.cls and issubclass(command.cls, Command)):
            command.cls = Command
    for group in root.registered_groups:
        if group.typer_instance is not None:
            in_capitals(group.typer_instance)
