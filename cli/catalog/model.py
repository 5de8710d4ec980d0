"""How the model of a price is typed: its currency, tiers and packages, for the rules to judge."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cli import options

Tiers = Annotated[
    list[str] | None,
    typer.Option(
        "--tier",
        metavar="UP_TO:UNIT_AMOUNT[:FLAT_AMOUNT]",
        help="In place of a unit amount, in their order: 5:700, 10:650:100, inf:600. In minor"
        " units; a unit amount may be empty beside a flat one (100::1000).",
    ),
]


def currency_id(typed: str) -> str:
    """`USD`, `usd` and `cur_usd` are the same currency."""
    from infra.billing.contract.catalog_names import CURRENCY_PREFIX
    from payments.catalog import currencies

    return currencies.id_of(typed.removeprefix(CURRENCY_PREFIX))


def tiers(typed: Sequence[str] | None) -> list[dict[str, Any]] | None:
    """`--tier 5:700`, repeated. Raises BadParameter."""
    return [_tier(one) for one in typed] if typed else None


def part(**typed: Any) -> dict[str, Any] | None:
    """An object of the typed options, or None if there are none."""
    return options.sent(**typed) or None


def _tier(typed: str) -> dict[str, Any]:
    up_to, *amounts = typed.split(":")
    if not 1 <= len(amounts) <= 2:
        raise typer.BadParameter(
            f"{typed!r} is not UP_TO:UNIT_AMOUNT[:FLAT_AMOUNT], such as 5:700 or inf::1000",
            param_hint="--tier",
        )
    named = zip(("unit_amount", "flat_amount"), amounts, strict=False)
    return {
        "up_to": options.number(up_to),
        **{name: options.number(amount) for name, amount in named if amount},
    }
