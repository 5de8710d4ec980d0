"""The words for faults on our side, which do not count as attempts.

A bug; a resolver that does not answer; a network without a route; a process, or a machine, that has
no sockets left.
"""

INTERNAL, RESOLVER_AWAY, NO_ROUTE, NO_SOCKETS = (
    "internal_error", "resolver_away", "no_route", "no_sockets",
)  # fmt: skip
LOCAL = frozenset({INTERNAL, RESOLVER_AWAY, NO_ROUTE, NO_SOCKETS})
