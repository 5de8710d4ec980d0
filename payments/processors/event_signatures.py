"""Signatures of events: Stripe's scheme, `t=TIMESTAMP,v1=HMAC-SHA256(TIMESTAMP.BODY)` in a header.

https://docs.stripe.com/webhooks#verify-manually. There are several `v1`, and several secrets here,
while a secret is rolled.
"""

import hashlib
import hmac
from collections.abc import Iterable

from payments.processors.port import EventRefused

# Stripe's tolerance: enough for a slow network, too short for a replay next week.
TOLERANCE_S = 300


def sign(body: bytes, *, secret: bytes, now: float) -> str:
    """The header's value. `now` in Unix seconds."""
    timestamp = str(int(now))
    return f"t={timestamp},v1={_signature(timestamp, body, secret)}"


def check(header: str, body: bytes, *, secrets: Iterable[bytes], now: float) -> None:
    """Raise EventRefused unless one of the secrets signed it, and recently."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    timestamp = next((value for name, _, value in parts if name == "t"), "")
    # Compared as bytes: compare_digest refuses text that isn't ASCII, and a forger may send any.
    signatures = [value.encode(errors="replace") for name, _, value in parts if name == "v1"]
    expected = [_signature(timestamp, body, secret).encode() for secret in secrets]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures):
        raise EventRefused("The event's signature does not match.")
    # The signature covers the timestamp, so from here on the processor is known to have written it.
    if abs(now - int(timestamp)) > TOLERANCE_S:
        raise EventRefused("The event's signature is too old.")


def _signature(timestamp: str, body: bytes, secret: bytes) -> str:
    signed = timestamp.encode(errors="replace") + b"." + body
    return hmac.new(secret, signed, hashlib.sha256).hexdigest()
