"""`make cluster`: three machines, one fault after another, and what the witness says of it.

make cluster                                # all faults, at five requests per second
make cluster ARGS="--rate 20 --only primary,etcd --report run.md"
"""

import argparse
import fcntl
import os
import platform
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from tests.cluster import network, programs, witness
from tests.cluster.cluster import Cluster, cluster, forget
from tests.cluster.faults import FAULTS, Fault
from tests.cluster.journal import Journal
from tests.cluster.trial import BOUND_S, Trial, table, too_slow
from tests.support.sink import webhook_sink

FOLDERS = "billing-cluster-"
STOPS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """0 when every promise held, 1 when not, 2 when it can't run here, 130 when it is stopped."""
    parser = argparse.ArgumentParser(prog="make cluster")
    parser.add_argument("--rate", type=float, default=5.0, help="requests per second")
    parser.add_argument("--only", default="", help="faults whose name has one of these in it")
    parser.add_argument("--rounds", type=int, default=1, help="how often each fault comes")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--report", type=Path, help="a file for the table, as Markdown")
    parser.add_argument("--keep", action="store_true", help="keep logs and journal")
    given = parser.parse_args()
    if why := network.obstacle() or programs.obstacle():
        sys.stderr.write(f"make cluster can't run here: {why}\n")
        return 2
    lock = Path(tempfile.gettempdir(), f"{FOLDERS}lock").open("w")  # noqa: SIM115  # held to the end
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write("make cluster runs on this host already; wait until it is over\n")
        return 2
    for number in STOPS:
        signal.signal(number, _interrupted)
    folder = Path(tempfile.mkdtemp(prefix=FOLDERS))
    named = given.only.split(",")
    faults = [one for one in FAULTS if any(part in one.name for part in named)] * given.rounds
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    broken = ["it did not come to its end"]
    try:
        with cluster(folder, say=_say) as made:
            broken = _try(made, faults, given.rate, seed, given.report)
    except KeyboardInterrupt:
        broken = []
        _say("stopped; nothing of it is left")
        return 130
    finally:
        if broken or given.keep:
            _say(f"logs and journal: {folder}")
        else:
            forget(folder)
    return 1 if broken else 0


def _try(
    made: Cluster, faults: list[Fault], rate: float, seed: int, report: Path | None
) -> list[str]:
    began, load = time.monotonic(), os.getloadavg()[0]
    journal = Journal(made.folder / "journal.jsonl")
    trial = Trial(made, journal, _say)
    with webhook_sink(network.HOST) as sink:
        sink.answer = trial.hear
        took = trial.run(sink.url, faults, rate=rate, seed=seed)
    journal.close()
    evidence = trial.evidence()
    broken = [*witness.findings(evidence), *too_slow(took)]
    verified = made.billing("verify").strip().splitlines()
    sums = ", ".join(f"{number} {name}" for name, number in witness.sums(evidence).items())
    circumstances = (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({platform.machine()}), load"
        f" {load:.1f} at its beginning and {os.getloadavg()[0]:.1f} at its end, seed {seed},"
        f" {rate:g} requests per second, {time.monotonic() - began:.0f} s."
    )
    lines = [
        circumstances,
        "",
        table(took),
        "",
        f"{sums}. The bound for accepting again: {BOUND_S} s.",
        f"`billing verify`: {verified[-1] if verified else 'nothing'}",
    ]
    _say("\n".join(lines))
    if report:
        report.write_text("\n".join(lines) + "\n")
    for one in broken:
        _say(f"BROKEN {one}")
    if not broken:
        _say("every promise held")
    return broken


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """Once: whoever is impatient must not end the clearing up, too."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
