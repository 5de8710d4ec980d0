"""The rigs that a run of the conformance kit is about: ours, or those that the command names."""

import importlib
from collections.abc import Iterator, Mapping

import pytest

from tests.support.example_adapter import example_rig
from tests.support.processors import MakeRig, Rig, sandbox, stripe_rig

RIGS: Mapping[str, MakeRig] = {
    "sandbox": sandbox,
    "stripe": stripe_rig,
    "acme": example_rig,  # of the page that tells how one is added
}


def chosen(config: pytest.Config) -> Mapping[str, MakeRig]:
    """By their names. `--rig module:function` (see `tests.conformance.plugin`) names others."""
    named: list[str] = config.getoption("--rig", default=[])
    return {one: _load(one) for one in named} or RIGS


def _load(name: str) -> MakeRig:
    module, _, function = name.partition(":")
    try:
        make: MakeRig = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise pytest.UsageError(f"--rig {name}: {error}") from None
    return make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of a rig is tried on every one."""
    if "rig" in metafunc.fixturenames:
        metafunc.parametrize("rig", list(chosen(metafunc.config)), indirect=True)


@pytest.fixture
def rig(request: pytest.FixtureRequest, database_url: str) -> Iterator[Rig]:
    with chosen(request.config)[request.param](database_url) as made:
        yield made
