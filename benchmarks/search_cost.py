"""What it costs a charge to be found: WAL, time and disk of the indexes that search alone needs.

    python -m benchmarks.search_cost [CHARGES] [BATCHES]

Fills a throwaway database, then writes batches of 64 charges with and
without the indexes of migration 0041, in turns.
"""

import statistics
import sys
import time

from sqlalchemy import Connection, Engine, create_engine, text

from local.embedded import throwaway
from service.database import migrate

BATCH = 64
INDEXES = ("charges_amount_idx", "charges_words_idx")
# Three names of metadata, one of them unique, as shops have them.
_INSERT = text("""
    INSERT INTO charges (id, producer, idempotency_key, fingerprint, currency, metadata, state,
        phase, processor, amount, customer_id, reference, request_id)
    SELECT 'ch_' || md5(i::text || :salt), 'shop', 'k' || i, md5(i::text), 'USD',
        CASE WHEN :with_metadata THEN jsonb_build_object('channel', 'web', 'cart', md5(i::text),
            'campaign', 'autumn sale ' || (i % 50)) ELSE '{}'::jsonb END,
        'pending', 'queued', 'sandbox', 100 + (i * 7919) % 20000, 'cus_' || i % 10000,
        :salt || i, 'req_' || md5(i::text)
    FROM generate_series(1, :rows) AS i
""")


def main(charges: int = 200_000, batches: int = 300) -> None:
    # Without full pages, which a checkpoint makes of whatever is touched next, and without waiting
    # for a disk that others use: what is left is the work itself.
    with throwaway.servers(durable=False) as servers:
        engine = create_engine(servers.postgres.url)
        migrate.upgrade(engine)
        fill(engine, charges)
        definitions = {name: _definition(engine, name) for name in INDEXES}
        for with_metadata in (True, False):
            print(f"\n{'with three names of metadata' if with_metadata else 'without metadata'}")
            for is_indexed in (False, True):
                with engine.begin() as connection:
                    for name, definition in definitions.items():
                        connection.execute(text(f"DROP INDEX IF EXISTS {name}"))
                        if is_indexed:
                            connection.exec_driver_sql(definition)
                wal, times = measure(engine, batches, with_metadata=with_metadata)
                how = "with" if is_indexed else "without"
                print(
                    f"  {how} the indexes: {wal:.0f} B of WAL and"
                    f" {statistics.median(times) / BATCH * 1e6:.0f} µs a charge;"
                    f" a batch of {BATCH} takes {statistics.median(times) * 1e3:.1f} ms,"
                    f" at most {max(times) * 1e3:.0f} ms"
                )
        with engine.connect() as connection:
            for name in INDEXES:
                size = connection.scalar(text(f"SELECT pg_relation_size('{name}')"))
                print(f"{name}: {size / charges:.0f} B a charge")
        engine.dispose()


def fill(engine: Engine, charges: int) -> None:
    with engine.begin() as connection:
        asked = {"salt": "fill", "rows": charges, "with_metadata": True}
        connection.execute(_INSERT, asked)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE charges"))


def measure(engine: Engine, batches: int, *, with_metadata: bool) -> tuple[float, list[float]]:
    """WAL per charge, and the seconds of each batch, without full pages after a checkpoint."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
        _write(connection, "warm", 20, with_metadata=with_metadata)
        before = connection.scalar(text("SELECT pg_current_wal_lsn()"))
        times = _write(connection, "run", batches, with_metadata=with_metadata)
        wal = connection.scalar(
            text("SELECT pg_current_wal_lsn() - CAST(:before AS pg_lsn)"), {"before": before}
        )
        return float(wal) / (batches * BATCH), times


def _write(connection: Connection, name: str, batches: int, *, with_metadata: bool) -> list[float]:
    times = []
    for number in range(batches):
        salt = f"{name}{number}{time.monotonic_ns()}"
        started = time.perf_counter()
        asked = {"salt": salt, "rows": BATCH, "with_metadata": with_metadata}
        connection.execute(_INSERT, asked)
        times.append(time.perf_counter() - started)
    return times


def _definition(engine: Engine, name: str) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(text(f"SELECT pg_get_indexdef('{name}'::regclass)")))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
