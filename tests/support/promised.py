"""What the system has to have for some tests: they skip where it is missing, unless CI says that it
is there."""

import os
import shutil
from typing import NoReturn

import pytest


def skip_or_fail(what: str, reason: str) -> NoReturn:
    """Fail if BILLING_TEST_REQUIRE_`what` is 1, as .ci/run has it for all that it installs; skip
    where it is a matter of taste."""
    if os.environ.get(f"BILLING_TEST_REQUIRE_{what}") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str:
    """The path of this program of the system's, or `skip_or_fail`."""
    # Debian has servers in /usr/sbin, which is not on everybody's path.
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        skip_or_fail(name.upper(), f"there is no {name} here")
    return found
