"""The limits of requests, for everything that is bounded."""

from collections.abc import Mapping
from datetime import timedelta

# Characters of a text. Stripe's limit for an idempotency key is the same.
TEXT_MAX, LONG_TEXT_MAX = 255, 1000
METADATA_KEYS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX = 50, 40, 500  # Stripe's limits.
DESCRIPTOR_MAX = 22  # characters on a bank statement, by the rules of card networks

# JSON numbers stay exact in every language up to 2^53, and so do the sums of a few quantities.
QUANTITY_MAX = 999_999_999_999_999

# Longer than any subscription's interval. A date beyond that is a mistake.
MOMENT_AHEAD_MAX = timedelta(days=366)
EXPIRES_MAX_S = 366 * 24 * 3600
# Longer than a message waits for a broker or a worker. A date before that is a mistake, too, and
# would be charged at once.
BEHIND_MAX = timedelta(days=7)

# A price recurs at least every three years, and a lookup key has at most 200 characters: Stripe's
# bounds (docs.stripe.com/api/prices).
INTERVALS_MAX: Mapping[str, int] = {
    "hour": 3 * 365 * 24, "day": 3 * 365, "week": 3 * 52, "month": 3 * 12, "year": 3,
}  # fmt: skip
LOOKUP_KEY_MAX = 200

# Objects of a list in one answer, and pages of a list with a count.
LIMIT_MAX = 100
PAGE_MAX = 10_000_000

URL_MAX, ENDPOINT_DESCRIPTION_MAX = 2048, 500
# Concurrent posts to one endpoint: the default and the maximum. At a tenth of a second for each
# answer, 256 are 2,560 webhooks per second.
IN_FLIGHT, IN_FLIGHT_MAX = 256, 1000
# Webhooks per second, if an endpoint limits them.
RATE_MAX = 1000
# Retries of a webhook, and the seconds before one: Standard Webhooks has nine, and a day.
RETRIES_MAX, RETRY_MAX_S = 20, 7 * 86_400
# Custom headers of an endpoint, and the characters of each. Servers accept lines of 8 KiB or less.
HEADERS_MAX, HEADER_NAME_MAX, HEADER_VALUE_MAX = 20, 64, 4096
# For how long the previous secret signs, too: a day, as at Stripe and Svix, which is enough for a
# deployment. More than a week would mean that it was forgotten.
OVERLAP_S, OVERLAP_MAX_S = 86_400, 7 * 86_400
# Events that one replay may name by id.
EVENT_IDS_MAX = 1_000

# An endpoint's health is computed from this many of its last attempts: they fit into its own row.
RECENT_MAX = 100
# A delivery is shown with this many of its last attempts: usually there are ten, unless it was
# replayed again and again.
ATTEMPTS_SHOWN_MAX = 100

# The head of a receiver's answer: proxies and frameworks put dozens of cookies and policies there.
# Nginx's own limit for what it passes on is 32 KiB. Interim answers (1xx) before it count.
HEAD_BYTES_MAX = 64 * 1024
