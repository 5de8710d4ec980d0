"""How many posts may be under way at one endpoint: a self-adjusting window. Pure functions.

Like TCP's congestion window it opens while answers are good and take no longer than before
(doubling at first, then by one), stops where they begin to queue, and shrinks by factors when they
fail or don't come. Answers are judged in rounds, each as many as the window is wide.

Latency is compared with the minimum seen. A receiver that became slower for good would then never
get more, so a window that stands still is narrowed once in a while to measure what the receiver
does without load (as BBR does, draft-cardwell-iccrg-bbr-congestion-control).
"""

from dataclasses import dataclass
from enum import Enum, auto

# The first window of an unknown endpoint. Small, because hundreds of dead ones may get one event;
# two, so that one slow answer does not block everything else.
UNKNOWN = 2.0
# The window of one that answered well: after its first answer, and after a pause.
FIRST = 4.0
# "No longer than before" means within this factor and these seconds, which are our own process's
# noise.
FLAT_FACTOR = 2.0
FLAT_S = 0.05
# How long a window stands still before the receiver is measured again, at this share of it.
MEASURE_AFTER_S = 30.0
MEASURE_AT = 0.25
# A failure halves the window; silence, which blocks a place until the deadline, quarters it.
AFTER_TROUBLE = 0.5
AFTER_SILENCE = 0.25
# After this long without an answer, the learnt width is only where the doubling ends.
IDLE_S = 60.0


class Verdict(Enum):
    """What an answer says about the receiver's capacity."""

    GOOD = auto()  # it answered in time, whether it accepted the webhook or not
    TROUBLE = auto()  # a server error, a request to wait, no connection
    SILENCE = auto()  # a connection, and no answer before the deadline


@dataclass(slots=True)
class _Round:
    """The answers since the window was last judged."""

    answers: int = 0
    seconds: float = 0.0
    # Whether the window kept more from being posted.
    was_full: bool = False


class Window:
    """The window of one endpoint. Times are in seconds, by one monotonic clock."""

    def __init__(self) -> None:
        self._size = UNKNOWN
        self._doubles_until = float("inf")
        self._least_s: float | None = None
        self._round = _Round()
        # Answers still to come for what was posted before the window was narrowed: they say nothing
        # new.
        self._old = 0
        self._measured_at = self._answered_at = 0.0
        # Whether the last post had no answer, or a server error.
        self.is_troubled = False
        self._is_known = False  # it answered well once

    @property
    def is_doubtful(self) -> bool:
        """Whether it is not known to work: it never answered well, or its last answer was bad."""
        return self.is_troubled or not self._is_known

    def places(self, most: int) -> int:
        """How many posts may be under way, from 1 to `most`."""
        return max(1, min(int(self._size), most))

    def probe(self) -> None:
        """It was held back because it failed: one post tests whether it is back."""
        self._size = self._doubles_until = 1.0
        self._round, self._old = _Round(), 0

    def begin(self, now: float) -> None:
        """Posting is about to start again."""
        if now - self._answered_at > IDLE_S and self._size > FIRST:
            self._doubles_until, self._size = self._size, FIRST
        self._answered_at, self._old = now, 0

    def answered(
        self,
        verdict: Verdict,
        *,
        took_s: float,
        was_full: bool,
        under_way: int,
        most: int,
        now: float,
    ) -> None:
        """Learn from an answer. `was_full`: the window kept more from being posted in the meantime;
        `under_way`: how many are still to be answered."""
        self._answered_at = now
        self.is_troubled = verdict is not Verdict.GOOD
        if self._old:
            self._old -= 1
        elif verdict is Verdict.GOOD:
            self._round.answers += 1
            self._round.seconds += took_s
            self._round.was_full |= was_full
            if self._round.answers >= int(self._size):
                self._judge(under_way, most, now)
            self._is_now_known(most)
        else:
            factor = AFTER_SILENCE if verdict is Verdict.SILENCE else AFTER_TROUBLE
            self._narrow(factor, under_way)
            self._doubles_until = self._size

    def _judge(self, under_way: int, most: int, now: float) -> None:
        round_, self._round = self._round, _Round()
        mean_s = round_.seconds / round_.answers
        if self._least_s is None or mean_s < self._least_s:
            self._least_s, self._measured_at = mean_s, now
        if mean_s <= FLAT_FACTOR * self._least_s + FLAT_S:
            if round_.was_full:
                self._widen(most)
        elif now - self._measured_at >= MEASURE_AFTER_S:
            self._doubles_until = self._size
            self._narrow(MEASURE_AT, under_way)
            self._least_s = None
        else:
            self._doubles_until = self._size

    def _is_now_known(self, most: int) -> None:
        if not self._is_known and self._doubles_until > FIRST:  # nothing has failed before
            self._size = min(max(self._size, FIRST), float(max(1, most)))
        self._is_known = True

    def _widen(self, most: int) -> None:
        doubles = self._size < self._doubles_until
        wider = min(2 * self._size, self._doubles_until) if doubles else self._size + 1.0
        self._size = min(wider, float(max(1, most)))

    def _narrow(self, factor: float, under_way: int) -> None:
        self._old = under_way
        self._size = max(1.0, self._size * factor)
        self._round = _Round()
