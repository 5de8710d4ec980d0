"""In which order the suite runs, and what one process runs by itself when several share it."""

import pytest
from xdist.scheduler import LoadScopeScheduling

# These share running processes, and run one after another in one process of the suite: to start
# the house anew for each would cost more than the tests do. By the beginning of the path.
TOGETHER = {
    "tests/crash/test_c": "crashes of charges",  # and of cancellations
    "tests/crash/": "other crashes",
    **dict.fromkeys(
        [
            f"tests/acceptance/test_{name}.py"
            for name in ("access", "endings", "outages", "races", "seeds", "stock", "workers")
        ],
        "the house of the acceptance tests",
    ),
}
# What takes longest begins first, so that no process is left with it at the end. Whatever is not
# named takes seconds; files of `unit`, less.
FIRST = (
    "tests/acceptance/",
    "tests/crash/",
    "tests/kills/",
    "tests/conformance/",
    "tests/house/",
    "tests/integration/test_cut_lines.py",
    "tests/integration/http/test_openapi.py",
    "tests/integration/test_cli_fuzz.py",
    "tests/integration/test_up.py",
    "tests/integration/http/test_generated_clients.py",
    "tests/integration/http/test_outages.py",
    "tests/integration/test_cli_screens.py",
    "tests/integration/test_cli_doctor.py",
    "tests/integration/test_quarantine.py",
    "tests/integration/test_worker_guard.py",
    "tests/storm/",
    "tests/live/",
    "tests/integration/",
    "tests/mutants/",
    "tests/contract/",
    "tests/unit/",
)


def turn(item: pytest.Item) -> int:
    """When a test's turn comes; those of one turn keep the order that they have."""
    starts = (n for n, start in enumerate(FIRST) if item.nodeid.startswith(start))
    return next(starts, len(FIRST))


class Turns(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out whole files, or those together that share their processes."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", 1)[0]
        return next((name for start, name in TOGETHER.items() if path.startswith(start)), path)
