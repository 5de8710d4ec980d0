"""The meaning of Stripe's errors: a table, read from the top.

Sources, read 2026-11: https://docs.stripe.com/api/errors (statuses and types),
https://docs.stripe.com/error-codes (codes), https://docs.stripe.com/error-low-level (what was
executed), https://docs.stripe.com/rate-limits (429 and lock timeouts),
https://docs.stripe.com/api/idempotent_requests (keys). An error that matches no row is Unknown.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import stripe

from infra.billing.contract.failures import message_for
from infra.billing.contract.retry_after import retry_after_s
from payments.processors.outcomes import Declined, Outcome, Unavailable, Unknown
from payments.processors.stripe.declines import advice_on, our_code
from payments.processors.stripe.stripe_transport import NotSent

# The pauses if we are refused because of our configuration. A quick retry after the fix is not
# needed, and a thousand waiting charges must not look like an attack.
MISCONFIGURED_S = 60.0
# The maximum of Stripe's Retry-After that is obeyed (`payments.lifecycle.backoff` has a limit for
# all processors, too: the lower one counts).
RETRY_AFTER_MAX_S = 3600.0

# 400s about the account or its key, and not about the one charge.
SET_UP_CODES = frozenset(
    {
        "account_closed",
        "account_invalid",
        "api_key_expired",
        "livemode_mismatch",
        "platform_api_key_expired",
        "secret_key_required",
        "testmode_charges_only",
    }
)
# 400s and 404s of a charge about its payment method or its customer.
METHOD_CODES = frozenset(
    {
        "customer_max_payment_methods",
        "payment_method_unactivated",
        "payment_method_unexpected_state",
        "payment_method_unsupported_type",
        "payment_method_invalid_parameter",
        "payment_method_currency_mismatch",
        "payment_method_customer_decline",
        "payment_method_provider_decline",
    }
)
METHOD_PARAMS = frozenset({"customer", "payment_method"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error from Stripe. `reference` is the PaymentIntent that it left behind."""

    status: int
    type: str = ""
    code: str = ""
    decline_code: str = ""
    advice_code: str = ""
    param: str = ""
    reference: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A condition, and the outcome if it holds."""

    holds: Callable[[Refusal], bool]
    outcome: Callable[[Refusal], Outcome]


def _misconfigured(refusal: Refusal) -> Outcome:
    reason = {401: "authentication", 403: "permission"}.get(refusal.status) or refusal.code
    return Unavailable(reason, MISCONFIGURED_S, needs_operator=True)


def _declined(code: str, refusal: Refusal) -> Outcome:
    word = refusal.decline_code or refusal.code or refusal.type
    advised = advice_on(word, refusal.advice_code)
    return Declined(code, word, message_for(code), refusal.reference, advised)


def _invalid(refusal: Refusal) -> Outcome:
    is_method = refusal.code in METHOD_CODES or refusal.param in METHOD_PARAMS
    return _declined("invalid_payment_method" if is_method else "invalid_request", refusal)


# For any request, before or during its execution.
COMMON: tuple[Row, ...] = (
    Row(lambda refusal: refusal.status in (401, 403), _misconfigured),
    Row(lambda refusal: refusal.code in SET_UP_CODES, _misconfigured),
    Row(
        lambda refusal: refusal.status == 429 or refusal.code in ("lock_timeout", "rate_limit"),
        lambda refusal: Unavailable(refusal.code or "rate_limited", refusal.retry_after_s),
    ),
    # Another call under this key is still under way: its outcome is looked up.
    Row(lambda refusal: refusal.status == 409, lambda refusal: Unknown(refusal.code or "conflict")),
    # The key was used with other parameters. Money may well have moved under it.
    Row(lambda refusal: refusal.type == "idempotency_error", lambda _: Unknown("key_reused")),
)


def _declines(code: str) -> Row:
    """An error for what can't be done, and is refused for good."""
    return Row(
        lambda refusal: (
            refusal.status in (400, 402, 404)
            and refusal.type in ("card_error", "invalid_request_error")
        ),
        lambda refusal: _declined(code, refusal),
    )


CHARGES: tuple[Row, ...] = (
    *COMMON,
    Row(
        lambda refusal: refusal.type == "card_error",
        lambda refusal: _declined(our_code(refusal.code, refusal.decline_code), refusal),
    ),
    Row(
        lambda refusal: refusal.status in (400, 404) and refusal.type == "invalid_request_error",
        _invalid,
    ),
)
# More than is left, a charge that is disputed, too little on the balance, …
REFUNDS: tuple[Row, ...] = (*COMMON, _declines("refund_declined"))
# More than is authorized, a card that was closed in the meantime, …
CAPTURES: tuple[Row, ...] = (*COMMON, _declines("capture_declined"))


def outcome_of(error: stripe.StripeError, rows: tuple[Row, ...]) -> Outcome:
    """The outcome of an error, by the first row that holds."""
    if isinstance(error, NotSent):
        return Unavailable(str(error))
    if isinstance(error, stripe.APIConnectionError):
        return Unknown(str(error))
    refusal = _read(error)
    for row in rows:
        if refusal is not None and row.holds(refusal):
            return row.outcome(refusal)
    return Unknown("server_error" if (error.http_status or 0) >= 500 else "unreadable_answer")


def code_of(error: stripe.StripeError) -> str:
    """The error's code, or an empty text."""
    refusal = _read(error)
    return "" if refusal is None else refusal.code


def _read(error: stripe.StripeError) -> Refusal | None:
    """The error's fields; None if it did not come from Stripe but is, say, a gateway's page."""
    body: Any = error.json_body
    fields: Any = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(fields, Mapping) or error.http_status is None:
        return None
    intent = fields.get("payment_intent")
    reference = intent.get("id") if isinstance(intent, Mapping) else None
    return Refusal(
        status=error.http_status,
        type=_word(fields.get("type")),
        code=_word(fields.get("code")),
        decline_code=_word(fields.get("decline_code")),
        advice_code=_word(fields.get("advice_code")),
        param=_word(fields.get("param")),
        reference=reference if isinstance(reference, str) else None,
        retry_after_s=_wait_s(_header(error, "retry-after")),
    )


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _header(error: stripe.StripeError, name: str) -> str | None:
    for key, value in (error.headers or {}).items():
        if key.lower() == name:
            return value
    return None


def _wait_s(header: str | None) -> float | None:
    """The seconds of Retry-After; None if there is none."""
    wait_s = retry_after_s(header, now_s=time.time())
    return None if wait_s is None else min(wait_s, RETRY_AFTER_MAX_S)
