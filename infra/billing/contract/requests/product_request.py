"""A product, as it is asked for, and what may change of it."""

from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from infra.billing.contract.ids import id_from_key
from infra.billing.contract.requests.request_fields import Changes, LongText, Request, Text


class ProductRequest(Request):
    """Something that is sold. Its prices say what it costs."""

    name: Text = Field(description="What it is called.", examples=["My SaaS Product"])
    description: LongText | None = Field(
        default=None, description="For people.", examples=["Everything, for a team."]
    )
    active: bool = Field(default=True, description="Whether its prices take new charges.")
    type: Literal["good", "service"] | None = Field(
        default=None,
        description="As the field's JavaScript client sends it. Nothing depends on it here, and it"
        " is not kept: a good and a service are sold alike.",
    )

    def asked(self) -> dict[str, Any]:
        """As ever: what is not kept makes no other request."""
        asked = super().asked()
        asked.pop("type", None)
        return asked

    @cached_property
    def id(self) -> str:
        return id_from_key("product", producer=self.producer, key=self.idempotency_key)


class ProductChanges(Changes):
    """What may change of a product."""

    name: Text = Field(default="", description="What it is called.")
    description: LongText | None = Field(default=None, description="For people.")
