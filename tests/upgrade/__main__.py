"""`make upgrade`: the storm, while one version replaces another and goes back.

make upgrade                                    # from each pinned version, on Redis
make upgrade SEED=42 MINUTES=5 BROKER=rabbitmq FROM=0044
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.storm.witness import Witness
from tests.support.nursery import nursery
from tests.upgrade.releases import RELEASES
from tests.upgrade.trial import Upgrade


def main() -> int:
    """0 when every promise held."""
    parser = argparse.ArgumentParser(prog="make upgrade")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--broker", choices=("redis", "rabbitmq"), default="redis")
    parser.add_argument("--from", dest="release", choices=(*RELEASES, "each"), default="each")
    parser.add_argument("--keep", type=Path, default=None, help="folder for the evidence")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    names = [*RELEASES] if given.release == "each" else [given.release]
    if unknown := [name for name in names if not RELEASES[name].is_known]:
        _say(f"this clone has no history ({', '.join(unknown)}): git fetch --unshallow")
        return 2
    folder = given.keep or Path(tempfile.mkdtemp(prefix="billing-upgrade-"))
    broken = sum(_upgrade(folder, name, seed, given.minutes * 60, given.broker) for name in names)
    if not broken and given.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if broken else 0


def _upgrade(folder: Path, name: str, seed: int, seconds: float, broker: str) -> int:
    place, began = folder / f"{name}-{broker}-{seed}", time.monotonic()
    release = RELEASES[name]
    _say(f"from {name} ({release.commit[:12]}) on {broker}: seed {seed}, evidence in {place}")
    old = release.unpack(place / "old")
    with nursery() as new, nursery(old) as before:
        run = Upgrade(
            place, {"new": new, "old": before}, release=release, old=old,
            seed=seed, seconds=seconds, broker=broker, say=_say,
        )  # fmt: skip
        found = run.carry_out()
    _say(f"over after {time.monotonic() - began:.0f} s")
    for title in ("rows", "faults", "processes", "ended by themselves", "took", "order", "migrate"):
        _say(f"  {title}: {found.run[title]}")
    status, said = found.run["verify"]
    wrong = [f"BROKEN {one}" for one in Witness(found).findings()]
    wrong += [f"of the storm itself: {one}" for one in found.run["errors"]]
    wrong += [f"billing verify: {said}"] if status else []
    for one in wrong:
        _say(one)
    if wrong:
        minutes = f"{seconds / 60:g}"
        _say(f"again: make upgrade SEED={seed} MINUTES={minutes} BROKER={broker} FROM={name}")
    else:
        _say("  every promise held")
    return len(wrong)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
