"""Stripe's codes for a declined card, as ours.

Sources, read 2026-11: https://docs.stripe.com/declines/codes (decline codes),
https://docs.stripe.com/error-codes (codes of card errors without one),
https://docs.stripe.com/testing#declined-payments (what the test cards answer).
"""

from collections.abc import Mapping

from payments.processors.advice import ASK, STOP, TOMORROW, Advised

# A code that is in no table is a plain decline: issuers and Stripe add new codes.
ELSE = "card_declined"

DECLINE_CODES: Mapping[str, str] = {
    "authentication_not_handled": "authentication_required",
    "authentication_required": "authentication_required",
    "mobile_device_authentication_required": "authentication_required",
    "offline_pin_required": "authentication_required",
    "online_or_offline_pin_required": "authentication_required",
    "insufficient_funds": "insufficient_funds",
    "withdrawal_count_limit_exceeded": "insufficient_funds",
    "card_velocity_exceeded": "insufficient_funds",
    "lost_card": "lost_card",
    "stolen_card": "stolen_card",
    "pickup_card": "stolen_card",
    "expired_card": "expired_card",
    "invalid_expiry_month": "expired_card",
    "invalid_expiry_year": "expired_card",
    "incorrect_cvc": "incorrect_cvc",
    "invalid_cvc": "incorrect_cvc",
    "incorrect_number": "incorrect_card_details",
    "invalid_number": "incorrect_card_details",
    "incorrect_address": "incorrect_card_details",
    "incorrect_zip": "incorrect_card_details",
    "incorrect_pin": "incorrect_card_details",
    "invalid_pin": "incorrect_card_details",
    "pin_try_exceeded": "incorrect_card_details",
    "card_not_supported": "card_not_supported",
    "currency_not_supported": "card_not_supported",
    "invalid_account": "card_not_supported",
    "invalid_amount": "card_not_supported",
    "new_account_information_available": "card_not_supported",
    "service_not_allowed": "card_not_supported",
    "transaction_not_allowed": "card_not_supported",
    "approve_with_id": "processing_error",
    "issuer_not_available": "processing_error",
    "processing_error": "processing_error",
    "reenter_transaction": "processing_error",
    "try_again_later": "processing_error",
    "call_issuer": "card_declined",
    "do_not_honor": "card_declined",
    "do_not_try_again": "card_declined",
    "duplicate_transaction": "card_declined",
    "fraudulent": "card_declined",
    "generic_decline": "card_declined",
    "merchant_blacklist": "card_declined",
    "no_action_taken": "card_declined",
    "not_permitted": "card_declined",
    "restricted_card": "card_declined",
    "revocation_of_all_authorizations": "card_declined",
    "revocation_of_authorization": "card_declined",
    "security_violation": "card_declined",
    "stop_payment_order": "card_declined",
    "live_mode_test_card": "card_declined",
    "testmode_decline": "card_declined",
}

# Codes of errors without a decline code, or more specific than it.
ERROR_CODES: Mapping[str, str] = {
    "authentication_required": "authentication_required",
    "payment_intent_authentication_failure": "authentication_required",
    "expired_card": "expired_card",
    "incorrect_cvc": "incorrect_cvc",
    "invalid_cvc": "incorrect_cvc",
    "incorrect_number": "incorrect_card_details",
    "invalid_number": "incorrect_card_details",
    "incorrect_zip": "incorrect_card_details",
    "incorrect_address": "incorrect_card_details",
    "invalid_expiry_month": "expired_card",
    "invalid_expiry_year": "expired_card",
    "insufficient_funds": "insufficient_funds",
    "processing_error": "processing_error",
}

# Advice from the issuer through Stripe; it takes precedence
# (https://docs.stripe.com/declines/card#retrying-issuer-declines).
BY_ADVICE_CODE: Mapping[str, Advised] = {
    "confirm_card_data": ASK,
    "do_not_try_again": STOP,
    "try_again_later": TOMORROW,
}

# Codes whose next step in Stripe's list differs from that of our code. (For `do_not_honor` and
# `generic_decline` sources disagree; Stripe sends the customer to their bank.)
BY_WORD: Mapping[str, Advised] = {
    "do_not_try_again": STOP,
    "duplicate_transaction": STOP,
    "fraudulent": STOP,
    "merchant_blacklist": STOP,
    "no_action_taken": TOMORROW,
    "pickup_card": STOP,
    "restricted_card": STOP,
    "revocation_of_all_authorizations": STOP,
    "revocation_of_authorization": STOP,
    "security_violation": STOP,
    "stop_payment_order": STOP,
}


def our_code(code: str | None, decline_code: str | None) -> str:
    """Our failure code for a declined card."""
    return DECLINE_CODES.get(decline_code or "") or ERROR_CODES.get(code or "") or ELSE


def advice_on(word: str, advice_code: str | None) -> Advised | None:
    """What to do about a declined card, if Stripe says more than our own code."""
    return BY_ADVICE_CODE.get(advice_code or "") or BY_WORD.get(word)
