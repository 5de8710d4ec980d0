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
    """Knows the name of the installation, once it has been asked for. Thread-safe."""

    def __init__(self, ask: Callable[[], Installation] | None) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._known: Installation | None = None

    def objection(self) -> Unavailable | None:
        """Why nothing may be asked of Stripe now: nobody can say whose it would be."""
        if self._ask is None or self._known is not None:
            return None
        with self._lock:
            try:
                self._known = self._ask()  # the same, however often
            except Renamed:
                return Unavailable("installation_renamed", MISCONFIGURED_S, needs_operator=True)
            except Exception:  # noqa: BLE001  # whatever the database says: nothing was sent
                return Unavailable("installation_unknown")
        return None

    def name_of(self, order: Order) -> str | None:
        """The name that stands beside the order's id, if one does."""
        return None if self._known is None else self._known.name_of(order.first_sent_at)

    def is_anothers(self, found: Object) -> bool:
        """Whether another installation has made it. What has no name may be as old as names are
        not."""
        name = metadata_of(found).get(INSTALLATION)
        return name is not None and (self._known is None or name != self._known.name)
