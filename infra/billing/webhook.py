"""Webhooks, for receivers: `billing.webhook.verify(body, headers, secret)`.

`verify` returns the event, if the service signed it. `Inbox` does that and handles each event once,
in a transaction of the receiver's own database. For tests of a receiver, `sign` makes headers, and
`check` sends it webhooks of all kinds and grades its answers.
"""

from typing import TYPE_CHECKING, Any

from infra.billing.receiving.inbox import Inbox, Receipt
from infra.billing.receiving.verification import TOLERANCE_S, Headers, Secrets, sign, verify

if TYPE_CHECKING:
    from infra.billing.receiver_check.check import check

__all__ = ["TOLERANCE_S", "Headers", "Inbox", "Receipt", "Secrets", "check", "sign", "verify"]


def __getattr__(name: str) -> Any:
    if name == "check":  # receivers don't need its imports, such as TLS
        from infra.billing.receiver_check.check import check

        return check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
