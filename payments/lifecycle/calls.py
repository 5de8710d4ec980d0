"""The call between claim and settle: what is asked of a processor, with no transaction open."""

import logging
from collections.abc import Callable, Mapping

from models.states import Phase
from payments.lifecycle.capturing.authorizations import shows_no_capture
from payments.lifecycle.claims import Claimed
from payments.lifecycle.settlement import Policy
from payments.processors.outcomes import Found, NotFound, Unknown
from payments.processors.registry import Processors

log = logging.getLogger(__name__)


class Caller:
    """Asks the processor that a row names. Every call has a deadline; `clock` is our own, in
    seconds."""

    def __init__(
        self,
        processors: Processors,
        policies: Mapping[str, Policy],
        *,
        deadline_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._processors = processors
        self._policies = policies
        self._deadline_s = deadline_s
        self._clock = clock

    def call(self, claimed: Claimed, leased_until: float) -> tuple[str, Found]:
        """What was asked (`charge`, `capture`, `refund`, `look_up`, `cancel`), and what came of
        it.

        What is in doubt is looked up first, and sent again only while that is safe. What is to end
        is canceled, and nothing else. Never raises: a call that went wrong is unknown.
        """
        verb: str = "look_up" if claimed.in_doubt else claimed.verb
        if claimed.is_to_end:
            verb = "cancel"
        try:
            if verb == "cancel":
                return verb, self._cancel(claimed)
            if verb == claimed.verb:
                return verb, self._send(claimed, leased_until)
            found = self._look_up(claimed)
            may_resend = self._policies[claimed.processor].may_resend(claimed.row, claimed.now)
            in_the_dark = claimed.row.phase == Phase.UNKNOWN and _not_executed(claimed, found)
            if in_the_dark and may_resend:
                # The processor has never heard of it, and its memory of keys reaches back to our
                # first call: sending again with the same key can't move money twice.
                verb = claimed.verb
                return verb, self._send(claimed, leased_until)
            return verb, found
        except Exception as broken:  # noqa: BLE001  # whatever it is, money may have moved
            # An adapter broke its promise of answering with a value; the money may have moved
            # before it did. Its text stays out of the log: it may hold what was sent.
            log.error(
                "processor %s raised %s for %s; treated as unknown",
                claimed.processor,
                type(broken).__name__,
                claimed.id,
            )
            return verb, Unknown("adapter_error")

    def _look_up(self, claimed: Claimed) -> Found:
        processor = self._processors[claimed.processor]
        return processor.look_up(claimed.order, deadline_s=self._deadline_s)

    def _cancel(self, claimed: Claimed) -> Found:
        # Whoever else holds the lease by now wants the same, and to cancel twice is to do it once.
        processor = self._processors[claimed.processor]
        return processor.cancel(claimed.order, deadline_s=self._deadline_s)

    def _send(self, claimed: Claimed, leased_until: float) -> Found:
        # Stopped since the claim (SIGSTOP, a suspended machine), others may have taken over and
        # settled, so long ago that the processor has forgotten the key.
        if self._clock() >= leased_until:
            return Unknown("lease_expired")
        processor = self._processors[claimed.processor]
        call: Callable[..., Found] = getattr(processor, claimed.order.kind)
        return call(claimed.order, deadline_s=self._deadline_s)


def _not_executed(claimed: Claimed, found: Found) -> bool:
    """Whether the processor says that it has not executed this: an authorization of which no more
    was captured than before says it of a capture."""
    if claimed.capture is None:
        return isinstance(found, NotFound)
    return shows_no_capture(found, claimed.order.captured_before)
