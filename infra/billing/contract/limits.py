"""The most that may be asked for, of everything that has a bound."""

from collections.abc import Mapping
from datetime import timedelta

# Characters of a text. Stripe's limit for an idempotency key is the same.
TEXT_MAX, LONG_TEXT_MAX = 255, 1000
METADATA_KEYS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX = 50, 40, 500  # Stripe's limits.
DESCRIPTOR_MAX = 22  # of a line on a bank statement, as card networks have it

# JSON numbers stay exact in every language up to 2^53, and so do the sums of a few quantities.
QUANTITY_MAX = 999_999_999_999_999

# Longer than any subscription's interval. What is further off is a mistake in a date.
MOMENT_AHEAD_MAX = timedelta(days=366)
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
# Posts to one endpoint at a time: what it has unless said otherwise, and the most. At a tenth of a
# second for each answer, 256 are 2,560 webhooks per second.
IN_FLIGHT, IN_FLIGHT_MAX = 256, 1000
# Webhooks per second, where an endpoint limits them.
RATE_MAX = 1000
# Retries of a webhook, and the seconds before one: Standard Webhooks has nine, and a day.
RETRIES_MAX, RETRY_MAX_S = 20, 7 * 86_400
# Headers of an endpoint's own, and the characters of each. Servers take 8 KiB of a line or less.
HEADERS_MAX, HEADER_NAME_MAX, HEADER_VALUE_MAX = 20, 64, 4096
# For how long the secret before signs, too: a day, as Stripe and Svix have it, which is time for a
# deployment. After a week it was forgotten.
OVERLAP_S, OVERLAP_MAX_S = 86_400, 7 * 86_400
# Events that one call sends again by their ids.
EVENT_IDS_MAX = 1_000

# An endpoint's health is told from so many of its last attempts: they fit into its own row.
RECENT_MAX = 100
# A delivery is shown with so many of its last attempts: ten, unless it was sent again and again.
ATTEMPTS_SHOWN_MAX = 100

# The head of a receiver's answer: proxies and frameworks put dozens of cookies and policies there.
# Nginx's own limit for what it passes on is 32 KiB. Interim answers (1xx) before it count.
HEAD_BYTES_MAX = 64 * 1024
