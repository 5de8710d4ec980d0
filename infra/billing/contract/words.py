"""The words that fields may have which know but a few, in requests and in objects alike."""

from typing import Literal

# Of prices.
PriceType = Literal["one_time", "recurring"]
BillingScheme = Literal["per_unit", "tiered"]
TiersMode = Literal["graduated", "volume"]
Interval = Literal["hour", "day", "week", "month", "year"]
UsageType = Literal["licensed", "metered"]
Rounding = Literal["up", "down"]
# Of the lines of a quote: what each counts.
LineType = Literal["unit", "package", "flat"]

# Of refunds: what to do while their charge is not ready for them.
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

# Of approvals: `overtaken` is what was settled otherwise before anybody decided.
ApprovalState = Literal["pending", "approved", "rejected", "overtaken"]
ApprovalOf = Literal["refund.create", "charge.resolve", "refund.resolve"]

# Who does something: a person, an API key, a producer (by message), or the service by itself; and
# which way it comes.
ActorKind = Literal["person", "key", "producer", "billing"]
Door = Literal["command", "http", "console", "broker", "sweep"]
