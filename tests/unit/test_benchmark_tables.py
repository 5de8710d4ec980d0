"""What the benchmarks make of their figures: medians, ratios, shares, a page."""

from typing import Any

from benchmarks import wal
from benchmarks.page import BEGIN, END, PAGE, lines
from benchmarks.parts import part_of, shares
from benchmarks.results import by_process, spread
from benchmarks.tables import tables


def a_run(*, charges_per_s: float = 1000.0, **others: Any) -> dict[str, Any]:
    return {
        "requests": 100,
        "charges_per_s": charges_per_s,
        "cpu_ms": {"worker": 0.5, "webhooks": 0.25, "postgres": 0.1, "redis": 0.05},
        "transactions": 0.5,
        "wal_kb": 3.0,
        "p50_ms": 4.0,
        "p95_ms": 8.0,
        "p99_ms": 9.0,
        "settled_p50_ms": 2.0,
        "settled_p99_ms": 5.0,
        "rss_mb": {"worker": 100.0, "webhooks": 50.0},
        "repeats": 0,
        "others_percent": 1.0,
        "stolen_percent": 0.0,
    } | others


def a_document(**scenarios: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    kinds = {"burst": "scenario", "steady": "scenario", "idle": "resting"}
    return {
        "measured_at": "2026-01-02T03:04+00:00",
        "machine": {
            "cores": 2,
            "python": "3.11",
            "load_average": 0.1,
            "server_version": "18.1",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
        },
        "titles": {"taskiq": "TaskIQ"},
        "left_out": {"taskiq": "no registry"},
        "parts": {"ours": {"worker": {"claim and settle": 0.6, "hand out": 0.4}}},
        "scenarios": {
            name: {
                "scenario": {
                    "kind": kinds[name],
                    "label": name,
                    "question": "which?",
                    "rate_per_s": 20.0 if name == "steady" else None,
                },
                "rounds": rounds,
            }
            for name, rounds in scenarios.items()
        },
    }


def test_a_figure_is_the_median_with_its_spread() -> None:
    runs = [a_run(charges_per_s=each) for each in (300.0, 100.0, 200.0)]
    told = spread(runs, "charges_per_s")
    assert (told.median, told.least, told.most) == (200.0, 100.0, 300.0)


def test_servers_stand_apart_from_what_is_a_contenders_own() -> None:
    runs = [a_run()]
    assert spread(runs, "own_cpu_ms").median == 0.75
    assert spread(runs, "postgres_cpu_ms").median == 0.1
    assert spread(runs, "broker_cpu_ms").median == 0.05
    assert by_process(runs, "cpu_ms") == {"worker": 0.5, "webhooks": 0.25}


def test_ratios_are_to_the_others_of_the_same_run() -> None:
    document = a_document(
        burst={
            "ceiling": [a_run(charges_per_s=4000.0)],
            "ours": [a_run(charges_per_s=1000.0)],
            "plain": [a_run(charges_per_s=100.0)],
        }
    )
    whole, costs, _ = tables(document)
    ours = dict(zip(whole.headings, whole.rows[1], strict=True))
    assert ours["charges/s"] == "1,000"
    assert (ours["of ceiling"], ours["× plain"], ours["× TaskIQ"]) == ("0.25", "10.0", "–")
    assert costs.rows[1][1] == "worker 0.50 · webhooks 0.25"


def test_doing_nothing_is_told_by_process() -> None:
    idle = {"cpu_percent": {"worker": 0.5, "beat": 0.25, "postgres": 0.2, "redis": 0.1}}
    document = a_document(idle={"ours": [a_run(**idle)]})
    whole, processes, _ = tables(document)
    assert whole.rows[0] == ["ours", "0.75", "0.20", "0.10"]
    assert processes.rows[0][1] == "worker 0.50 · beat 0.25"


def test_a_page_tells_who_was_left_out_and_has_every_table() -> None:
    document = a_document(burst={"ours": [a_run()]}, steady={"ours": [a_run()]})
    page = "\n".join(lines(document, plot="p.svg", data="p.json"))
    assert "Left out: TaskIQ (no registry)." in page
    for title in (
        "**burst (burst): which?**",
        "**steady (steady): which?**",
        "| worker | hand out",
    ):
        assert title in page


def test_the_page_has_a_place_for_the_figures() -> None:
    text = PAGE.read_text()
    assert text.index(BEGIN) < text.index(END)


def test_time_belongs_to_the_innermost_part_that_is_named() -> None:
    claim = "run (worker/x.py:3);claim (payments/lifecycle/claims.py:9);execute (sqlalchemy/x.py:1)"
    waiting = "run (asyncio/runners.py:1);select (selectors.py:4)"
    assert part_of(claim.split(";")) == "claim and settle"
    assert shares(f"{claim} 3\n{waiting} 1\n") == {
        "claim and settle": 0.75,
        "event loop, interpreter": 0.25,
    }


def test_the_log_is_told_by_table_and_whole_pages_stand_apart() -> None:
    def record(manager: str, rest: str, lsn: str, what: str) -> str:
        return f"rmgr: {manager} len (rec/tot): {rest}, tx: 9, lsn: {lsn}, prev 0/0, desc: {what}"

    charges = "INSERT off: 1, flags: 0x08, blkref #0: rel 1663/5/100 blk 0"
    key = "INSERT_LEAF off: 3, blkref #0: rel 1663/5/101 blk 1 FPW"
    dump = "\n".join(
        [
            record("Heap       ", "   300/   300", "0/00000100", charges),
            record("Btree      ", "    64/  8064", "0/00000200", key),
            record("Transaction", "    34/    34", "0/00000300", "COMMIT 2026-01-02 03:04:05 UTC"),
            record("Heap       ", "   999/   999", "1/00000000", charges),
        ]
    )
    log = wal.read(dump, {100: "charges", 101: "charges_pkey"}, since=0x100, until=1 << 32)
    assert {name: each.bytes for name, each in log.written.items()} == {
        "charges": 300,
        "charges_pkey": 64,
        "Transaction": 34,
    }
    assert log.written["charges_pkey"].records == {"insert_leaf": 1}
    assert log.pages == 8000
