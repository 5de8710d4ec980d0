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
from payments.processors.stripe.transport import NotSent

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


def _misconfigured(told: Refusal) -> Outcome:
    reason = {401: "authentication", 403: "permission"}.get(told.status) or told.code
    return Unavailable(reason, MISCONFIGURED_S, needs_operator=True)


def _declined(code: str, told: Refusal) -> Outcome:
    word = told.decline_code or told.code or told.type
    advised = advice_on(word, told.advice_code)
    return Declined(code, word, message_for(code), told.reference, advised)


def _invalid(told: Refusal) -> Outcome:
    is_method = told.code in METHOD_CODES or told.param in METHOD_PARAMS
    return _declined("invalid_payment_method" if is_method else "invalid_request", told)


# For any request, before or during its execution.
COMMON: tuple[Row, ...] = (
    Row(lambda told: told.status in (401, 403), _misconfigured),
    Row(lambda told: told.code in SET_UP_CODES, _misconfigured),
    Row(
        lambda told: told.status == 429 or told.code in ("lock_timeout", "rate_limit"),
        lambda told: Unavailable(told.code or "rate_limited", told.retry_after_s),
    ),
    # Another call under this key is still under way: its outcome is looked up.
    Row(lambda told: told.status == 409, lambda told: Unknown(told.code or "conflict")),
    # The key was used with other parameters. Money may well have moved under it.
    Row(lambda told: told.type == "idempotency_error", lambda _: Unknown("key_reused")),
)


def _declines(code: str) -> Row:
    """An error for what can't be done, and is refused for good."""
    return Row(
        lambda told: (
            told.status in (400, 402, 404) and told.type in ("card_error", "invalid_request_error")
        ),
        lambda told: _declined(code, told),
    )


CHARGES: tuple[Row, ...] = (
    *COMMON,
    Row(
        lambda told: told.type == "card_error",
        lambda told: _declined(our_code(told.code, told.decline_code), told),
    ),
    Row(
        lambda told: told.status in (400, 404) and told.type == "invalid_request_error",
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
    told = _read(error)
    for row in rows:
        if told is not None and row.holds(told):
            return row.outcome(told)
    return Unknown("server_error" if (error.http_status or 0) >= 500 else "unreadable_answer")


def code_of(error: stripe.StripeError) -> str:
    """The error's code, or an empty text."""
    told = _read(error)
    return "" if told is None else told.code


def _read(error: stripe.StripeError) -> Refusal | None:
    """The error's fields; None if it did not come from Stripe but is, say, a gateway's page."""
    body: Any = error.json_body
    told: Any = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(told, Mapping) or error.http_status is None:
        return None
    intent = told.get("payment_intent")
    reference = intent.get("id") if isinstance(intent, Mapping) else None
    return Refusal(
        status=error.http_status,
        type=_word(told.get("type")),
        code=_word(told.get("code")),
        decline_code=_word(told.get("decline_code")),
        advice_code=_word(told.get("advice_code")),
        param=_word(told.get("param")),
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
