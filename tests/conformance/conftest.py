"""Every processor that the kit is tried on."""

from tests.support.rigs import pytest_generate_tests, rig

__all__ = ["pytest_generate_tests", "rig"]
