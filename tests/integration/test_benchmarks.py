"""The benchmarks in their smallest form: they run, every webhook is verified, and each figure is
there. How fast anything is, no test says."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.programs import ROOT
from tests.support.waiting import patience_s


def test_ours_and_the_ceiling_do_the_same_work(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--no-parts", "--json", str(figures)]
    chosen = ["--only", "burst", "--contender", "ceiling", "--contender", "ours"]
    done = subprocess.run(
        [*command, *chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=10 * patience_s(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rounds = json.loads(figures.read_text())["scenarios"]["burst"]["rounds"]
    assert list(rounds) == ["ceiling", "ours"]
    for (run,) in rounds.values():
        assert run["requests"] > 0
        assert run["charges_per_s"] > 0
        assert run["wal_kb"] > 0
        assert run["rss_mb"]["worker"] > 0
        assert run["p50_ms"] >= run["settled_p50_ms"] > 0
    assert {"worker", "webhooks", "beat"} < rounds["ours"][0]["cpu_ms"].keys()
    assert "W1 (burst)" in done.stdout


def test_a_soak_tells_of_each_part() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--charges", "50", "--part", "30"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=10 * patience_s(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("30: ")
    assert second.startswith("50: ")
    assert "beat" in second.partition("MB of memory")[2]
