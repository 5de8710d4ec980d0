"""Real workers that are killed again and again, until what they had to do is done all the same."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.support.house import House
from tests.support.programs import READY
from tests.support.waiting import Wait

WORKERS = ("one", "two")  # by their names on the broker
# Nobody waits for long between two attempts: their pause is over at every tenth look.
_LATER = """
    UPDATE {table} SET next_attempt_at = now(), woken_at = NULL
    WHERE state = 'pending' AND lease_token IS NULL AND next_attempt_at > now() RETURNING 1
"""
_LEASED = """
    SELECT 1 FROM charges WHERE lease_token IS NOT NULL
    UNION ALL SELECT 1 FROM refunds WHERE lease_token IS NOT NULL LIMIT 1
"""
_STANDING = """
    SELECT state, phase, count(*) AS n FROM
    (SELECT state, phase FROM charges UNION ALL SELECT state, phase FROM refunds) AS every
    GROUP BY state, phase ORDER BY state, phase
"""
_TRIED = """
    SELECT verb, outcome, code, count(*) AS n FROM attempts GROUP BY verb, outcome, code
    ORDER BY n DESC LIMIT 20
"""


@dataclass
class Workers:
    """Two workers of a house, of which now one, now the other is killed and started again."""

    town: House
    kills: int = 0  # of those that had something in their hands: only they prove anything
    _next: int = field(default=0, repr=False)

    def start(self) -> None:
        for name in WORKERS:
            self._launch(name)
        for name in WORKERS:
            self.town.running[name].wait_until(READY["worker"])

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """They do nothing meanwhile, so that all that is asked for is left for `work_through`."""
        with ExitStack() as stack:
            for name in WORKERS:
                stack.enter_context(self.town.asleep(name))
            yield

    def work_through(self, done: Callable[[], int], total: int, *, kills: int) -> None:
        """Until `done` has come to `total`. The workers are killed so often meanwhile, evenly over
        the way there, and each time while one of them has something in its hands."""
        at = [total * (n + 1) // (kills + 1) for n in range(kills)]
        so_far, wait, looks = -1, Wait(), count()
        while (now := done()) < total:
            if now > so_far:
                so_far, wait = now, Wait()  # Thousands take their time; each is waited for.
            if wait.is_in_vain:
                stand, tried = (self.town.witness.rows(one) for one in (_STANDING, _TRIED))
                told = f"they stand so: {stand}, by {tried}"
                raise AssertionError(f"nothing ends after {now} of {total}; {told}")
            if at and now >= at[0] and self._is_anything_leased():
                at.pop(0)
                self._kill_one()
            if next(looks) % 10 == 0:
                self._nobody_waits()
            time.sleep(0.1)

    def _kill_one(self) -> None:
        name = WORKERS[self._next]
        self._next = (self._next + 1) % len(WORKERS)
        self.town.running[name].kill()
        self.kills += 1
        self._launch(name)

    def _launch(self, name: str) -> None:
        self.town.running[name] = self.town.launch("worker", hostname=name)

    def _nobody_waits(self) -> None:
        for table in ("charges", "refunds"):
            self.town.witness.rows(_LATER.format(table=table))

    def _is_anything_leased(self) -> bool:
        return bool(self.town.witness.rows(_LEASED))
