"""The summary of an import for charges by price: how many, and how many units of which prices."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.importing.tally import Tally

NAMED_MAX = 10


def for_people(tally: "Tally", what: str) -> dict[str, str]:
    """A row that says it of the lines that are `valid`, `new` or `repeated`; none without any."""
    sold = {name: of[what] for name, of in tally.sold.items() if what in of}
    if not sold:
        return {}
    named = [name for name in sold if name is not None][:NAMED_MAX]
    units = [f"{sold[name].quantity} of {name}" for name in named]
    if rest := [of for name, of in sold.items() if name not in named]:
        units.append(f"{sum(of.quantity for of in rest)} of other prices")
    said = f"{sum(of.charges for of in sold.values())}: {', '.join(units)}"
    # Only the books know prices, and a check may be made without them.
    later = "; what they come to is computed when they are sent" if what == "valid" else ""
    return {f"{what} by price": said + later}


def for_programs(tally: "Tally") -> dict[str, Any]:
    """`prices`: charges and units per price, like `amounts`; `other_prices` are all that are not
    named, if there are any."""
    prices = {
        name: {what: asdict(sold) for what, sold in of.items()} for name, of in tally.sold.items()
    }
    others = prices.pop(None, None)
    return {"prices": prices} | ({"other_prices": others} if others else {})
