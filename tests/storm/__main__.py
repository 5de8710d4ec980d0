"""`make storm`: a storm of minutes, and what the witness says of it.

make storm                                  # two minutes, both brokers, a seed of its own
make storm SEED=42 MINUTES=10 BROKER=redis  # the same wishes and faults as any other 42
python -m tests.storm judge FOLDER          # the witness once more, over what a run left
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.storm import evidence
from tests.storm.faults import plan
from tests.storm.stage import Run
from tests.storm.witness import Witness
from tests.support.nursery import nursery


def main() -> int:
    """0 when every promise held."""
    parser = argparse.ArgumentParser(prog="make storm")
    commands = parser.add_subparsers(dest="command", required=True)
    blow = commands.add_parser("blow")
    blow.add_argument("--seed", type=int, default=None)
    blow.add_argument("--minutes", type=float, default=2.0)
    blow.add_argument("--broker", choices=("redis", "rabbitmq", "both"), default="both")
    blow.add_argument("--rounds", type=int, default=1)
    blow.add_argument("--keep", type=Path, default=None, help="folder for the evidence")
    judge = commands.add_parser("judge")
    judge.add_argument("folder", type=Path)
    show = commands.add_parser("plan")
    show.add_argument("seed", type=int)
    show.add_argument("--minutes", type=float, default=2.0)
    given = parser.parse_args()
    if given.command == "judge":
        return _judge(given.folder)
    if given.command == "plan":
        for fault in plan(given.seed, given.minutes * 60):
            _say(str(fault))
        return 0
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    kinds = ("redis", "rabbitmq") if given.broker == "both" else (given.broker,)
    folder = given.keep or Path(tempfile.mkdtemp(prefix="billing-storm-"))
    broken = 0
    with nursery() as forks:
        for round_ in range(given.rounds):
            for kind in kinds:
                broken += _blow(folder, forks, seed + round_, given.minutes * 60, kind)
    if not broken and given.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if broken else 0


def _blow(folder: Path, forks: object, seed: int, seconds: float, kind: str) -> int:
    place = folder / f"{kind}-{seed}"
    began = time.monotonic()
    _say(f"storm on {kind}: seed {seed}, evidence in {place}")
    run = Run(place, forks, seed=seed, seconds=seconds, broker=kind, say=_say)  # type: ignore[arg-type]
    run.carry_out()
    _say(f"over after {time.monotonic() - began:.0f} s")
    return _judge(place)


def _judge(folder: Path) -> int:
    found = evidence.load(folder)
    for name in (
        "rows", "faults", "processes", "ended by themselves", "database wire", "broker wire",
        "took", "errors",
    ):  # fmt: skip
        _say(f"  {name}: {_counted(found.run[name])}")
    asked = [one for one in found.exchanges if one.did != "setup"]
    unheard = sum(one.status is None for one in asked)
    _say(f"  {len(asked)} questions, {unheard} without an answer; {len(found.webhooks)} webhooks")
    findings = Witness(found).findings()
    for finding in findings:
        _say(f"BROKEN {finding}")
    if findings:
        minutes = found.run["seconds"] / 60
        _say(
            f"again: make storm SEED={found.run['seed']} MINUTES={minutes:g}"
            f" BROKER={found.run['broker']}; evidence and logs: {folder}"
        )
    else:
        _say("  every promise held")
    return len(findings)


def _counted(what: object) -> str:
    if isinstance(what, dict):
        return ", ".join(f"{name} {count}" for name, count in sorted(what.items())) or "–"
    return ", ".join(map(str, what)) if what else "–"  # type: ignore[arg-type]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
