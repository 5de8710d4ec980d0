"""What a charge writes to the log, by table and index: `python -m benchmarks.wal`.

A burst through ours between two positions of the write-ahead log, which PostgreSQL's own
`pg_waldump` then takes apart. Images of whole pages stand apart: how many there are depends on how
often the server makes a checkpoint, not on what is written.
"""

import re
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import place
from benchmarks.ours import Ours
from benchmarks.place import Place
from benchmarks.run import arrivals, new_keys, wait_until_recorded
from local.embedded.postgres import programs

_RECORD = re.compile(
    r"rmgr: (?P<manager>\S+) +len \(rec/tot\): +(?P<record>\d+)/ *(?P<whole>\d+), .*"
    r"lsn: (?P<high>[0-9A-F]+)/(?P<low>[0-9A-F]+), .*?desc: (?P<what>\S+)"
)
_RELATION = re.compile(r"rel \d+/\d+/(?P<node>\d+)")


@dataclass
class Written:
    """What was written for one table or index: bytes, and how often what was done to it."""

    bytes: int = 0
    records: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass
class Log:
    """By relation (or by kind of record, such as Transaction), and the bytes of whole pages."""

    written: dict[str, Written]
    pages: int


def main(
    requests: Annotated[int, typer.Option(min=100, help="Charges in the burst.")] = 2_000,
) -> None:
    """Prints bytes of the log per charge, by table and index."""
    with place.prepared() as here:
        log = measured(here, requests)
    whole = sum(each.bytes for each in log.written.values())
    print(f"{whole / requests:,.0f} bytes a charge, and {log.pages / requests:,.0f} of whole pages")
    for name, each in sorted(log.written.items(), key=lambda pair: -pair[1].bytes):
        if each.bytes / requests >= 1:
            done = ", ".join(
                f"{what} {n / requests:.2f}" for what, n in sorted(each.records.items())
            )
            print(f"{name:45} {each.bytes / requests:7.0f}  {done}")


def measured(here: Place, requests: int) -> Log:
    """A burst of so many charges, with pages that are in the log already, read back from it."""
    # No checkpoint within, and nothing of the log thrown away.
    for setting in ("checkpoint_timeout = '1h'", "max_wal_size = '8GB'", "wal_keep_size = '4GB'"):
        here.postgres.execute(f"alter system set {setting}".encode())
    here.postgres.execute("select pg_reload_conf()")
    ours = Ours(here)
    ours.install()
    ours.start(latency_ms=0)
    publisher = ours.publisher()
    try:
        for _ in range(2):  # the first one touches the pages
            since = _position(here)
            keys = new_keys(requests)
            publisher.burst(keys)
            arrivals(keys, contender=ours, receiver=here.receiver)
            wait_until_recorded(ours)
            time.sleep(0.5)
        until = _position(here)
    finally:
        publisher.close()
        ours.processes.stop()
    names = ours.database.execute("select relfilenode, relname from pg_class where relfilenode > 0")
    here.postgres.execute("select pg_switch_wal()")  # what is not full is on the disk, too
    folder = here.postgres.execute("show data_directory").fetchone()
    assert folder is not None
    return read(_dumped(Path(folder[0])), dict(names.fetchall()), since=since, until=until)


def read(dump: str, names: dict[int, str], *, since: int, until: int) -> Log:
    """What pg_waldump tells of the records between two positions."""
    log = Log(defaultdict(Written), 0)
    for line in dump.splitlines():
        told = _RECORD.match(line)
        if told is None:
            continue
        if not since <= (int(told["high"], 16) << 32) + int(told["low"], 16) < until:
            continue
        relation = _RELATION.search(line)
        name = names.get(int(relation["node"]), "other") if relation else told["manager"]
        written = log.written[name]
        written.bytes += int(told["record"])
        written.records[told["what"].lower()] += 1
        log.pages += int(told["whole"]) - int(told["record"])
    return log


def _position(here: Place) -> int:
    row = here.postgres.execute("select (pg_current_wal_insert_lsn() - '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


def _dumped(folder: Path) -> str:
    program = programs() / "pg_waldump"
    segments = sorted(each.name for each in (folder / "pg_wal").iterdir() if each.is_file())
    command = [str(program), "--path", str(folder / "pg_wal"), segments[0], segments[-1]]
    # It reads up to the end, and then complains that there is no more.
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    typer.run(main)
