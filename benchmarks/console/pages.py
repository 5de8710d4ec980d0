"""The pages, and a browser that opens them."""

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from benchmarks.console.filling import COMMON, SINGLE, SOME
from benchmarks.doors.door import START_MAX_S, free_port, listens
from benchmarks.ours import ENCRYPTION_KEY, PROCFILE
from benchmarks.processes import Processes
from local.embedded.throwaway import Servers
from local.supervisor import command_of, parse_procfile
from tests.support.console import Visitor
from tests.support.web import a_key

# As the ids of the filling are made.
_OBJECTS = text("""
    SELECT (SELECT id FROM charges ORDER BY created_at DESC OFFSET 1000 LIMIT 1) AS charge,
           (SELECT id FROM refunds ORDER BY created_at DESC LIMIT 1) AS refund,
           (SELECT id FROM disputes ORDER BY created_at DESC LIMIT 1) AS dispute,
           (SELECT id FROM webhook_endpoints ORDER BY id LIMIT 1) AS endpoint,
           (SELECT max(id) FROM deliveries) AS delivery,
           (SELECT reference FROM charges ORDER BY created_at DESC OFFSET 9 LIMIT 1) AS reference
""")

_OTHERS = text(
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@contextmanager
def signed_in(engine: Engine, database_url: str, servers: Servers) -> Iterator[tuple[Visitor, int]]:
    """The service's own `web` process on this database, and an operator's browser at its console,
    who sees everything; the browser, and the process's id."""
    port, web = free_port(), Processes("console", servers.folder)
    web.start(
        {"web": command_of(parse_procfile(PROCFILE.read_text())["web"])},
        {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "BILLING_DATABASE_URL": database_url,
            "BILLING_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "BILLING_BROKER_URL": servers.redis.url_of(0),
            "BILLING_DATA_DIR": str(servers.folder / "console"),
            "BILLING_HTTP_PORT": str(port),
            "BILLING_HTTP_KEY_RATE": "0",
        },
    )
    try:
        deadline_s = time.monotonic() + START_MAX_S
        while not listens(port):
            web.check_alive()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the console never listened\n{web.log_tails()}")
            time.sleep(0.05)
        with Visitor(f"http://127.0.0.1:{port}") as browser:
            key = a_key(engine, "shop", scopes=["operator"], all_producers=True)
            if browser.sign_in(key).status_code != 303:
                raise RuntimeError(f"nobody can sign in\n{web.log_tails()}")
            yield browser, web.roots["web"]
    finally:
        web.stop()


def pages(engine: Engine) -> dict[str, str]:
    """What is opened, by what it is for."""
    with engine.connect() as connection:
        one = connection.execute(_OBJECTS).one()
    return {
        "overview": "/",
        "charges": "/charges",
        "charges, failed": "/charges?state=failed",
        "charges, pending": "/charges?state=pending",
        "charges of a customer": "/charges?customer_id=cus_77",
        "a charge": f"/charges/{one.charge}",
        "refunds": "/refunds",
        "a refund": f"/refunds/{one.refund}",
        "disputes": "/disputes",
        "a dispute": f"/disputes/{one.dispute}",
        "review": "/review",
        "endpoints": "/endpoints",
        "an endpoint": f"/endpoints/{one.endpoint}",
        "messages": "/messages",
        "prices": "/prices",
        "keys": "/keys",
        "who did what": "/audit",
        "who did what, ann": "/audit?actor=ann",
        "takings by day": "/takings",
        "takings by month": "/takings?period=month",
        "books": "/books",
        "search: a reference": f"/search?q={one.reference}",
        "search: a customer": "/search?q=cus_77",
        "search: an amount": "/search?q=19.99 USD",
        "search: a word of one": f"/search?q={SINGLE}",
        "search: a word of some": f"/search?q={SOME}",
        "search: a word of nearly all": f"/search?q={COMMON}",
        "search: two words": f"/search?q={COMMON} {SOME}",
        "search: nothing": "/search?q=nobody-has-this",
        "search: who acted": "/search?q=ann",
    }


def measured(engine: Engine, browser: Visitor, web: int, *, rounds: int) -> Iterator[str]:
    """A line per page: the median, the slowest, what the process `web` and PostgreSQL (on this
    machine) computed for it, however busy others were, and what came if it was no page."""
    took: dict[str, list[float]] = {}
    computed: dict[str, list[float]] = {}
    came: dict[str, str] = {}
    opened = pages(engine)
    for _ in range(rounds + 1):
        for name, path in opened.items():
            before = _computed_ms(engine, web)
            started = time.perf_counter()
            answer = browser.get(path, follow_redirects=True)
            took.setdefault(name, []).append(1000 * (time.perf_counter() - started))
            spent_ms = _since_ms(before, _computed_ms(engine, web))
            computed.setdefault(name, []).append(spent_ms)
            came[name] = "" if answer.status_code == 200 else f"  {answer.status_code}"
    yield f"{'page':32} {'first':>8} {'p50 ms':>8} {'max':>8} {'cpu ms':>8}"
    for name, (first, *all_others) in took.items():
        middle, most = statistics.median(all_others), max(all_others)
        cpu = statistics.median(computed[name][1:])
        yield f"{name:32} {first:8.0f} {middle:8.0f} {most:8.0f} {cpu:8.0f}{came[name]}"


def _computed_ms(engine: Engine, web: int) -> dict[Path, float]:
    """What each thread of the process and each connection of others to this database has computed
    so far."""
    with engine.connect() as connection:
        theirs = connection.execute(_OTHERS).scalars().all()
    return {path: _thread_ms(path) for pid in (web, *theirs) for path in _threads(pid)}


def _since_ms(before: dict[Path, float], now: dict[Path, float]) -> float:
    return sum(ms - before[path] for path, ms in now.items() if path in before)


def _threads(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _thread_ms(path: Path) -> float:
    try:
        return int(path.read_text().split()[0]) / 1e6
    except (FileNotFoundError, ProcessLookupError):  # it has ended since
        return 0.0
