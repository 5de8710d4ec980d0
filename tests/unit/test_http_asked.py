"""How long a caller would wait, as its header says."""

from starlette.datastructures import Headers

from api.request_input import wait_s
from tests.support.every import every


@every(
    "prefer, seconds",
    [
        ((), 0),
        (("wait=10",), 10),
        (("WAIT = 10",), 10),
        (('wait="10"',), 10),
        (("respond-async, wait=10",), 10),
        (("respond-async; foo=bar, wait=10; x",), 10),
        (("respond-async", "wait=10"), 10),
        (("wait=30",), 30),
        (("wait=31",), 30),
        (("wait=999999999",), 30),
        (("wait=0",), 0),
        (("wait=-1",), 0),
        (("wait=1.5",), 0),
        (("wait=ten",), 0),
        (("wait",), 0),
        (("await=10",), 0),
        (("wait=" + "9" * 5000,), 0),
    ],
)
def test_a_preference_is_read_or_ignored(prefer: tuple[str, ...], seconds: int) -> None:
    raw = [(b"prefer", one.encode()) for one in prefer]
    assert wait_s(Headers(raw=raw)) == seconds
