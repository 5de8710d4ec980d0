"""How many posts may be under way at one endpoint: a window that finds itself. Pure arithmetic.

As TCP finds the width of a road: it opens while answers are good and take no longer than they did
(doubling at first, then by one), stops where they begin to queue, and closes by factors when they
fail or don't come. Answers are judged by the round: as many as the window was wide.

Latency is held against the least that was seen. A receiver that became slower for good would then
never be given more, so where the window stands still it is narrowed once in a while to see what the
receiver takes when it is left in peace (as BBR does, draft-cardwell-iccrg-bbr-congestion-control).
"""

from dataclasses import dataclass
from enum import Enum, auto

# An endpoint that nobody knows yet. Small, because hundreds of dead ones may be told of one event;
# two, so that one slow answer does not hold up what else there is.
UNKNOWN = 2.0
# Of one that answered well: after its first answer, and when it comes back from a pause.
FIRST = 4.0
# No longer than before: within this factor and these seconds, which are our own process's noise.
FLAT_FACTOR = 2.0
FLAT_S = 0.05
# How long a window stands still before the receiver is measured anew, at this part of it.
MEASURE_AFTER_S = 30.0
MEASURE_AT = 0.25
# What failed halves the window; silence, which holds a place until the deadline, quarters it.
AFTER_TROUBLE = 0.5
AFTER_SILENCE = 0.25
# After that long without an answer, what was learnt is where the doubling ends and no more.
IDLE_S = 60.0


class Verdict(Enum):
    """What an answer says about how much its receiver can take."""

    GOOD = auto()  # it answered in time, whether it liked the webhook or not
    TROUBLE = auto()  # an error of the server's own, a request for patience, no connection
    SILENCE = auto()  # a connection, and no answer before the deadline


@dataclass(slots=True)
class _Round:
    """The answers since the window was last judged."""

    answers: int = 0
    seconds: float = 0.0
    # Whether the window was what kept more from being posted.
    was_full: bool = False


class Window:
    """The window of one endpoint. Times are in seconds, of one clock that never goes back."""

    def __init__(self) -> None:
        self._size = UNKNOWN
        self._doubles_until = float("inf")
        self._least_s: float | None = None
        self._round = _Round()
        # Answers to come of what was posted before the window was narrowed: they say nothing new.
        self._old = 0
        self._measured_at = self._answered_at = 0.0
        # Whether the last answer was none, or an error of the server's own.
        self.is_troubled = False
        self._is_known = False  # it answered well once

    @property
    def is_doubtful(self) -> bool:
        """Whether nobody knows that it works: it never answered well, or didn't just now."""
        return self.is_troubled or not self._is_known

    def places(self, most: int) -> int:
        """How many posts may be under way, from 1 to `most`."""
        return max(1, min(int(self._size), most))

    def probe(self) -> None:
        """It was left alone because it failed: one post says whether it is back."""
        self._size = self._doubles_until = 1.0
        self._round, self._old = _Round(), 0

    def begin(self, now: float) -> None:
        """Somebody is about to post again."""
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
        """Learn from an answer. `was_full`: the window kept more from being posted meanwhile;
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
