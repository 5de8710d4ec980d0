"""What a second person must approve, by the installation's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Stands for every currency that is not named.
ANY = "*"


@dataclass(frozen=True, slots=True)
class Approvals:
    """`refunds_above`: by currency, in minor units, how much of one charge may be refunded without
    approval; a refund that exceeds that must be approved. `resolve`: whether a decision about what
    needs review must be."""

    refunds_above: Mapping[str, int] = field(default_factory=dict)
    resolve: bool = False

    def wants_refund(self, together: int, currency: str) -> bool:
        """Whether a refund must be approved that brings the refunds of a charge to `together`.

        The sum counts and not the refund alone: two halves are no way around it.
        """
        above = self.refunds_above.get(currency, self.refunds_above.get(ANY))
        return above is not None and together > above


NOTHING = Approvals()
