"""One run: requests at a steady rate, one fault after another, and what each of them cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.cluster import witness
from tests.cluster.cluster import Cluster
from tests.cluster.faults import Fault
from tests.cluster.journal import Heard, Journal, now
from tests.cluster.measure import accepting_again_s, longest_silence_s, overdue
from tests.cluster.producer import Producer
from tests.support.sink import Answer, Received
from tests.support.waiting import wait_for

# Patroni's, in deploy/cluster/patroni.yml, and BILLING_LEASE_S. Nobody may wait longer to be
# accepted again: the leader's key runs out, Patroni looks, and what a dead worker held is free.
TTL_S, LOOP_WAIT_S, LEASE_S = 20, 5, 25
BOUND_S = TTL_S + LOOP_WAIT_S + LEASE_S
# What a request may take from a caller's wish to its webhook before it counts as overdue: a caller
# may have asked a machine first that takes connections and says nothing (producer.ANSWER_S).
DUE_S = 8.0
# A fault lasts until all due work has been done for so long, and this long at least.
CALM_S, LASTS_S = 5.0, 15.0
LOOK_S = 0.5


@dataclass(frozen=True)
class Took:
    """What a fault cost, in seconds."""

    fault: str
    machine: str
    primary: str
    """The primary before, and the one after it if that is another."""
    accepting_again_s: float
    all_done_s: float
    whole_again_s: float
    healing_silence_s: float
    """The longest that nothing was accepted while what was away came back."""


class Trial:
    """What happens between a whole cluster and the evidence."""

    def __init__(self, cluster: Cluster, journal: Journal, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._journal = journal
        self._say = say

    def hear(self, received: Received) -> Answer:
        """A webhook: written down, then answered."""
        self._journal.write(Heard(dict(received.headers), received.body.decode(), now()))
        return Answer(204)

    def run(self, sink_url: str, faults: Sequence[Fault], *, rate: float, seed: int) -> list[Took]:
        """All faults in turn. Afterwards everything that was asked for has been done, or the time
        for it is over."""
        made = self._cluster.object_of("endpoint", "add", sink_url)
        self.secret = str(made["secret"])
        key = str(self._cluster.object_of("keys", "create", "cluster")["key"])
        producer = Producer(self._journal, key, rate=rate, seed=seed)
        producer.start()
        wait_for(lambda: len(self._journal.told) >= 2 * rate, what="the first webhooks")
        took = []
        try:
            for fault in faults:
                took.append(self._strike(fault))
                self._say(f"  {_line(took[-1])}")
            producer.stop()
            wait_for(
                lambda: len(self._journal.born) - len(self._journal.done()),
                until=lambda left: not left,
                what="what was asked for to be done",
                every_s=0.5,
            )
        finally:
            producer.give_up()
        assert not producer.refused, producer.refused
        return took

    def evidence(self) -> witness.Evidence:
        """Everything that the witness needs."""
        rows = self._cluster.rows(
            "SELECT id, amount, state, phase FROM charges"
            " UNION ALL SELECT id, amount, state, phase FROM refunds"
        )
        moved = self._cluster.rows("SELECT object_id, amount FROM sandbox_ledger")
        by_id = {str(row["id"]): row for row in rows}
        return witness.Evidence(list(self._journal.entries), by_id, moved, self.secret)

    def _strike(self, fault: Fault) -> Took:
        before = self._cluster.primary()
        machine = fault.whom(self._cluster)
        self._say(f"{fault.name} ({machine})")
        began = now()
        fault.begin(self._cluster, machine)
        done_at = self._wait_for_calm(fault, began, before.name)
        after = self._cluster.primary()
        ended = now()
        fault.end(self._cluster, machine)
        self._cluster.wait_until_whole()
        whole = now()
        accepted = sorted(self._journal.accepted_at)
        return Took(
            fault.name,
            machine.name,
            before.name if after is before else f"{before} → {after}",
            accepting_again_s=accepting_again_s(accepted, began=began, ended=ended),
            all_done_s=done_at - began,
            whole_again_s=whole - ended,
            healing_silence_s=longest_silence_s(accepted, began=ended, ended=whole),
        )

    def _wait_for_calm(self, fault: Fault, began: float, primary: str) -> float:
        """When all due work had been done, while the fault goes on."""
        calm_since: float | None = None

        def is_calm() -> str:
            nonlocal calm_since
            late = overdue(self._journal.born, self._journal.done(), now=now(), due_s=DUE_S)
            found = self._cluster.state.primary() if fault.fails_over else None
            has_failed_over = not fault.fails_over or (found and found.name != primary)
            if late or not has_failed_over:
                calm_since = None
                return f"{len(late)} overdue, {found or 'no'} primary"
            calm_since = calm_since or now()
            lasted = now() - began >= LASTS_S and now() - calm_since >= CALM_S
            return "" if lasted else "calm, not long enough"

        wait_for(is_calm, until=lambda why: not why, what="all due work", every_s=LOOK_S)
        assert calm_since
        return calm_since


def _line(took: Took) -> str:
    return (
        f"{took.primary}: accepting after {took.accepting_again_s:.1f} s, all due work after"
        f" {took.all_done_s:.1f} s, whole {took.whole_again_s:.1f} s after its end (longest silence"
        f" meanwhile {took.healing_silence_s:.1f} s)"
    )


def table(took: Sequence[Took]) -> str:
    """As Markdown."""
    columns = (
        "fault", "machine", "primary", "accepting again", "all due work done", "whole again",
        "silence meanwhile",
    )  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [
        f"| {one.fault} | {one.machine} | {one.primary} | {one.accepting_again_s:.1f} s"
        f" | {one.all_done_s:.1f} s | {one.whole_again_s:.1f} s | {one.healing_silence_s:.1f} s |"
        for one in took
    ]
    return "\n".join(lines)


def too_slow(took: Sequence[Took]) -> list[str]:
    """Faults after which, or after whose end, callers waited longer than BOUND_S."""
    return [
        f"{one.fault}: nothing was accepted for {seconds:.1f} s, above {BOUND_S} s"
        for one in took
        for seconds in (one.accepting_again_s, one.healing_silence_s)
        if seconds > BOUND_S
    ]
