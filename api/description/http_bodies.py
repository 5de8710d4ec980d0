"""The bodies that only HTTP has: what processors send, and how the service is.

What the service shows besides is declared in `infra.billing.contract.objects`, what may be asked in
`infra.billing.contract.requests`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ProcessorEvent(BaseModel):
    """An event, as the processor writes it. Whatever it says, what it names is looked up."""

    model_config = ConfigDict(extra="allow")

    id: str | None = Field(default=None, description="The processor's own id of it.")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Health(_Answer):
    """That the process answers."""

    status: Literal["ok"] = Field(description="It answers.")


class Check(_Answer):
    """One thing, and how it is."""

    ok: bool = Field(description="Whether it is as it should be.")
    detail: str = Field(description="How it is.")


class Readiness(_Answer):
    """Whether requests can be accepted, and what else is not as it should be."""

    status: Literal["ready", "degraded", "not_ready"] = Field(
        description="`degraded` accepts them, too."
    )
    reasons: list[str] = Field(description="What is not as it should be; empty when all is well.")
    checks: dict[str, Check] = Field(description="Each thing by its name.")
