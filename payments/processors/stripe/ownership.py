"""Which of an account's objects are ours: those with our installation's name beside our id."""

import threading
from collections.abc import Callable

from payments.processors.installation import Installation, Renamed
from payments.processors.outcomes import Unavailable
from payments.processors.port import Order
from payments.processors.stripe.refusals import MISCONFIGURED_S
from payments.processors.stripe.standing import metadata_of
from payments.processors.stripe.wire import INSTALLATION, Object


class Ownership:
    """Knows the name of the installation, once it has been read. Thread-safe."""

    def __init__(self, ask: Callable[[], Installation] | None) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._known: Installation | None = None

    def objection(self) -> Unavailable | None:
        """Why Stripe must not be called now: the installation's name is not known."""
        if self._ask is None or self._known is not None:
            return None
        with self._lock:
            try:
                self._known = self._ask()  # always the same
            except Renamed:
                return Unavailable("installation_renamed", MISCONFIGURED_S, needs_operator=True)
            except Exception:  # noqa: BLE001  # any error of the database: nothing was sent
                return Unavailable("installation_unknown")
        return None

    def name_of(self, order: Order) -> str | None:
        """The installation's name that goes with the order's id, if any."""
        return None if self._known is None else self._known.name_of(order.first_sent_at)

    def is_anothers(self, found: Object) -> bool:
        """Whether another installation has made it. An object without a name may be older than
        these names."""
        name = metadata_of(found).get(INSTALLATION)
        return name is not None and (self._known is None or name != self._known.name)
