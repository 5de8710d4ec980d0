"""The words for faults of ours, which are no attempt at any receiver.

A bug of ours; our resolver answers nobody; our network leads nowhere; our process, or the machine,
has no sockets left.
"""

INTERNAL, RESOLVER_AWAY, NO_ROUTE, NO_SOCKETS = (
    "internal_error", "resolver_away", "no_route", "no_sockets",
)  # fmt: skip
LOCAL = frozenset({INTERNAL, RESOLVER_AWAY, NO_ROUTE, NO_SOCKETS})
