"""What is asked of a price: that its stock is counted, and what a quantity would cost."""

from functools import cached_property
from typing import Literal

from pydantic import Field

from infra.billing.contract.ids import id_from_key
from infra.billing.contract.requests.request_fields import Asked, Keyed, Quantity, Stock


class InventoryRequest(Keyed):
    """Count what came in, or what went out otherwise than by a charge."""

    quantity: Quantity = Field(description="How many: 1 or more.", examples=[1])
    action: Literal["increment", "decrement"] = Field(description="Up or down.")

    @cached_property
    def id(self) -> str:
        return id_from_key("inventory", producer=self.producer, key=self.idempotency_key)

    @property
    def change(self) -> int:
        """How much more there is afterwards."""
        return self.quantity if self.action == "increment" else -self.quantity


class QuoteRequest(Asked):
    """How many units one would buy; none, too."""

    quantity: Stock = Field(description="How many units; none cost nothing.", examples=[20])
