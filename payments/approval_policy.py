"""What a second person must approve, as the installation has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# The amount of every currency that is not named.
ANY = "*"


@dataclass(frozen=True, slots=True)
class Approvals:
    """`refunds_above`: by currency, in minor units, what may be given back of one charge on one
    person's word; a refund that leads beyond that must be approved. `resolve`: whether a decision
    about what needs review must be."""

    refunds_above: Mapping[str, int] = field(default_factory=dict)
    resolve: bool = False

    def wants_refund(self, together: int, currency: str) -> bool:
        """Whether a refund must be approved with which `together` is given back of a charge.

        Of the sum and not of the refund alone: two halves are no way around it.
        """
        above = self.refunds_above.get(currency, self.refunds_above.get(ANY))
        return above is not None and together > above


NOTHING = Approvals()
