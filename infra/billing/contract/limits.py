"""The most that may be asked for, of everything that has a bound."""

from collections.abc import Mapping
from datetime import timedelta

# Characters of a text. Stripe's limit for an idempotency key is the same.
TEXT_MAX, LONG_TEXT_MAX = 255, 1000
METADATA_KEYS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX = 50, 40, 500  # Stripe's limits.

# JSON numbers stay exact in every language up to 2^53, and so do the sums of a few quantities.
QUANTITY_MAX = 999_999_999_999_999

# Longer than any subscription's interval. What is further off is a mistake in a date.
AHEAD_MAX = timedelta(days=366)
EXPIRES_MAX_S = 366 * 24 * 3600
# Longer than a message waits for a broker or a worker. What lies further back is a mistake in a
# date, too, and would be charged at once.
BEHIND_MAX = timedelta(days=7)

# A price recurs at least every three years, and a lookup key has at most 200 characters: Stripe's
# bounds (docs.stripe.com/api/prices).
INTERVALS_MAX: Mapping[str, int] = {
    "hour": 3 * 365 * 24, "day": 3 * 365, "week": 3 * 52, "month": 3 * 12, "year": 3,
}  # fmt: skip
LOOKUP_KEY_MAX = 200

# Objects of a list in one answer, and pages of one that is counted.
LIMIT_MAX = 100
PAGE_MAX = 10_000_000

URL_MAX, ENDPOINT_DESCRIPTION_MAX = 2048, 500
# Posts to one endpoint at a time: a hundred is what a drainer's window and a receiver's pool are
# made for.
IN_FLIGHT_MAX = 100
# For how long the secret before signs, too. After a week it was forgotten.
OVERLAP_MAX_S = 7 * 86_400
# Events that one call sends again by their ids.
EVENT_IDS_MAX = 1_000
