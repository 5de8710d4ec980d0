"""The conformance kit as a plug-in of pytest: `-p tests.conformance.plugin --rig MODULE:FUNCTION`.

The function makes the rig of a processor (`tests.support.processors.Rig`): it gets the URL of a
database and is a context manager. What is run on it: `tests/conformance` (a worker takes charges
and refunds from asked to final, whatever goes wrong) and `tests/contract/test_processor_*.py` (what
the port asks of each answer).
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rig",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="Try this processor, and none of ours. May be repeated.",
    )
