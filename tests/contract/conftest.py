"""Every processor that the contract is tried on."""

from collections.abc import Iterator

import pytest

from tests.support.processors import RIGS, Rig


@pytest.fixture(params=list(RIGS))
def rig(request: pytest.FixtureRequest, database_url: str) -> Iterator[Rig]:
    with RIGS[request.param](database_url) as rig:
        yield rig
