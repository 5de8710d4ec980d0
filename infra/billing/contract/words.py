"""The enumerated values of fields, in requests and in objects alike."""

from typing import Literal

# Of prices.
PriceType = Literal["one_time", "recurring"]
BillingScheme = Literal["per_unit", "tiered"]
TiersMode = Literal["graduated", "volume"]
Interval = Literal["hour", "day", "week", "month", "year"]
UsageType = Literal["licensed", "metered"]
Rounding = Literal["up", "down"]
# For the lines of a quote: what each counts.
LineType = Literal["unit", "package", "flat"]

# For refunds: what to do while their charge is not ready for them.
Waiting = Literal["wait", "reject"]

# Of webhook endpoints, and of what is sent there again.
EndpointState = Literal["enabled", "disabled"]
DisabledBecause = Literal["gone", "failing"]
HeldBackBecause = Literal["retry_after", "failing", "gone", "local_fault"]
EndpointOrder = Literal["strict", "relaxed"]
EndpointTrace = Literal["off", "forward"]
ReplayOf = Literal["undelivered", "failed", "missed", "all"]
# Of deliveries, and of what makes their attempts.
DeliveryState = Literal["pending", "delivered", "exhausted"]
Trigger = Literal["scheduled", "replay", "manual", "ping"]

# For approvals: `overtaken` means that it was settled otherwise before a decision.
ApprovalState = Literal["pending", "approved", "rejected", "overtaken"]
ApprovalOf = Literal["refund.create", "charge.resolve", "refund.resolve"]

# The kinds of actors: a person, an API key, a producer (by message), or the service itself; and the
# door.
ActorKind = Literal["person", "key", "producer", "billing"]
Door = Literal["command", "http", "console", "broker", "sweep"]
