"""The wires of the storm, on a real PostgreSQL: each breaks as it says, and where."""

import socket
from collections.abc import Iterator

import psycopg
import pytest

from local.embedded.throwaway import Servers
from tests.storm.wire import CommitCut, Wire, wire_to
from tests.support.waiting import wait_for


@pytest.fixture
def direct(database_url: str) -> Iterator[psycopg.Connection]:
    """Past the wire."""
    with psycopg.connect(_plain(database_url), autocommit=True) as connection:
        connection.execute("CREATE TABLE drops (n int)")
        yield connection


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    with wire_to(database_url, speaks_postgres=True) as made:
        yield made


def _plain(url: str) -> str:
    return url.replace("+psycopg", "")


def _rows(direct: psycopg.Connection) -> int:
    (count,) = direct.execute("SELECT count(*) FROM drops").fetchone() or (0,)
    return int(count)


@pytest.mark.parametrize(("how", "kept"), [("before", 0), ("after", 1), ("half", 1)])
def test_a_commit_is_cut_before_it_arrives_or_after_it_was_done(
    how: CommitCut, kept: int, direct: psycopg.Connection, wire: Wire, database_url: str
) -> None:
    wire.cut_commits(how, times=1, chance=1.0)
    connection = psycopg.connect(wire.url(_plain(database_url)))
    connection.execute("INSERT INTO drops VALUES (1)")
    with pytest.raises(psycopg.OperationalError):
        connection.commit()
    wait_for(lambda: _rows(direct) == kept, what=f"{kept} rows")
    # Only that one.
    with psycopg.connect(wire.url(_plain(database_url))) as again:
        again.execute("INSERT INTO drops VALUES (2)")
    assert _rows(direct) == kept + 1
    assert sum(wire.counts.values()) == 1


def test_what_is_cut_in_mid_byte_breaks_there(
    direct: psycopg.Connection, wire: Wire, database_url: str
) -> None:
    connection = psycopg.connect(wire.url(_plain(database_url)), autocommit=True)
    assert wire.cut_in_mid_byte(1.0, within=100) == 1
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT repeat('x', 100000)").fetchall()
    assert wire.counts["cut in mid-byte"] == 1


def test_a_silent_wire_acknowledges_and_goes_on_later(
    direct: psycopg.Connection, wire: Wire, database_url: str
) -> None:
    connection = psycopg.connect(wire.url(_plain(database_url)), autocommit=True)
    wire.fall_silent()
    connection.pgconn.send_query(b"INSERT INTO drops VALUES (1)")
    # Who connects now is let in, too.
    with socket.create_connection(("127.0.0.1", wire.port), timeout=5) as other:
        other.sendall(b"\0" * 8)
        assert _rows(direct) == 0
        wire.speak()
        wait_for(lambda: _rows(direct) == 1, what="what was held back")
    connection.close()


def test_a_silence_can_end_in_a_cut(wire: Wire, database_url: str) -> None:
    connection = psycopg.connect(wire.url(_plain(database_url)), autocommit=True)
    wire.fall_silent()
    wire.speak(cut=True)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")


def test_a_wire_to_a_server_that_is_down_is_refused(servers: Servers) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    with (
        wire_to(f"postgresql://a@127.0.0.1:{port}/b") as wire,
        pytest.raises(psycopg.OperationalError),
    ):
        psycopg.connect(wire.url(f"postgresql://a@127.0.0.1:{port}/b"))
