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

# Of webhook endpoints.
EndpointState = Literal["enabled", "disabled"]
