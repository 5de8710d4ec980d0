"""Every metric that a process counts: its name, its description, and its labels.

Labels have fixed values: kinds, verbs, states, codes, names of processors, templates of routes.
Never a customer, a producer, a key, an id, or any text from outside: the number of series is
bounded, whatever is sent. docs/reference/metrics.md is generated from here.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from service.running import register

# Our own registry: Flower, or a processor's library, may fill the shared one.
REGISTRY = CollectorRegistry(auto_describe=False)
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

# A call within the same machine room, up to the deadline of a call (BILLING_CALL_DEADLINE_S).
CALL_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# From a moment to the days for which a customer, or a receiver, may be away.
LONG_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400)

ACCEPTED = Counter(
    "billing_accepted",
    "Charges and refunds that were accepted (committed) for the first time, by the door they came"
    " through (http, message).",
    ("operation", "door"),
    registry=REGISTRY,
)
SETTLED = Counter(
    "billing_settled",
    "Charges and refunds that became final, by their state, their failure code (empty: none) and"
    " their processor.",
    ("operation", "state", "failure_code", "processor"),
    registry=REGISTRY,
)
ATTEMPTS = Counter(
    "billing_attempts",
    "What was done with charges and refunds, and what came of it: unknown means that money may"
    " have moved, and is looked up.",
    ("operation", "verb", "outcome", "processor"),
    registry=REGISTRY,
)
ACCEPT_TO_FINAL = Histogram(
    "billing_accept_to_final_seconds",
    "From the moment a charge or refund was accepted (or was to be made, if that is later) until"
    " it was final.",
    ("operation", "state"),
    buckets=LONG_S,
    registry=REGISTRY,
)
CALLS = Histogram(
    "billing_processor_call_seconds",
    "How long a processor took to answer one call, by what it was asked and what it answered.",
    ("processor", "verb", "outcome"),
    buckets=CALL_S,
    registry=REGISTRY,
)
IN_FLIGHT = Gauge(
    "billing_in_flight",
    "Tasks under way in this process: of a worker, charges and refunds that it carries.",
    registry=REGISTRY,
)
# Running ones are counted already.
IN_FLIGHT.set_function(lambda: len(register.now()))
SLOTS = Gauge(
    "billing_slots",
    "How many of them this process can have under way (BILLING_SLOTS); none in web and beat.",
    registry=REGISTRY,
)
REFUSED_MESSAGES = Counter(
    "billing_messages_refused",
    "Messages whose request was refused, and kept (`billing rejected list`), by the code.",
    ("task", "code"),
    registry=REGISTRY,
)
QUARANTINED = Counter(
    "billing_messages_quarantined",
    "Messages that were put into quarantine, as they could not be taken.",
    registry=REGISTRY,
)
POSTS = Counter(
    "billing_webhook_posts",
    "Webhooks that were posted, by what came of it (2xx, 3xx, 4xx, 5xx, timeout, failed) and by"
    " whether it was the first attempt of its delivery.",
    ("answer", "attempt"),
    registry=REGISTRY,
)
POST_S = Histogram(
    "billing_webhook_post_seconds",
    "How long receivers took to answer a webhook.",
    buckets=CALL_S,
    registry=REGISTRY,
)
ARRIVAL = Histogram(
    "billing_commit_to_arrival_seconds",
    "From the commit of an event until a receiver had taken its webhook (answered 2xx), by whether"
    " it took the first attempt. Replays don't count.",
    ("attempt",),
    buckets=LONG_S,
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "billing_webhook_deliveries",
    "Deliveries that are over: delivered, or exhausted (given up).",
    ("state",),
    registry=REGISTRY,
)
HTTP = Counter(
    "billing_http_requests",
    "HTTP requests that were answered, by the template of their route (empty: there is none).",
    ("method", "route", "status"),
    registry=REGISTRY,
)
HTTP_S = Histogram(
    "billing_http_request_seconds",
    "How long an HTTP request took until it was answered, its wait for an outcome included.",
    ("method", "route"),
    buckets=CALL_S,
    registry=REGISTRY,
)
SWEEPS = Histogram(
    "billing_sweep_seconds",
    "How long the sweeps of beat took, by their name and whether they could be made.",
    ("sweep", "result"),
    buckets=(0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0),
    registry=REGISTRY,
)
SWEPT = Counter(
    "billing_swept",
    "What the sweeps of beat found to do.",
    ("sweep",),
    registry=REGISTRY,
)
