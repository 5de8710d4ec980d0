"""Which port `billing up` serves HTTP at."""

import socket
from collections.abc import Iterator

import pytest

from cli import ports
from cli.operating import up
from cli.output import Failed
from local.narrator import Narrator
from service.settings import Settings


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104
def test_a_port_at_which_somebody_listens_is_refused(taken: int, host: str) -> None:
    with pytest.raises(Failed, match=rf"port {taken} of {host} is .* BILLING_HTTP_PORT=80\d\d$"):
        ports.require_free(host, taken)


def test_a_port_that_was_just_left_is_free(taken: int) -> None:
    other = ports.free()
    with socket.create_server(("127.0.0.1", other)) as server:
        client = socket.create_connection(("127.0.0.1", other))
        server.accept()[0].close()
        client.close()
    ports.require_free("127.0.0.1", other)
    assert ports.free(taken, other) == other


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_refused_with_the_settings(host: str) -> None:
    with pytest.raises(Failed, match=rf"^nothing can be served at {host}:8765 .*BILLING_HTTP_HOST"):
        ports.require_free(host, 8765)
    with pytest.raises(Failed, match=rf"^nothing can be served at {host} \("):
        ports.require_free(host, 0)
    assert ports.free(8765, host=host) != 8765


def test_a_usual_port_that_is_taken_gives_way_and_says_so(
    taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = Settings(http_port=taken)
    settings = up.at_a_free_port(usual, Narrator("console", "info"))
    assert settings.http_port not in (0, taken)
    said = f"billing  | port {taken} is taken, web takes {settings.http_port}\n"
    assert capsys.readouterr().out == said


def test_the_port_that_flower_is_asked_for_is_its_own(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = ports.free()
    monkeypatch.setenv("FLOWER_PORT", str(port))
    assert up.port_of_flower() == port
    assert up.environ_here(port)["FLOWER_PORT"] == str(port)
    monkeypatch.setenv("FLOWER_PORT", str(taken))
    with pytest.raises(Failed, match=rf"port {taken} .* FLOWER_PORT=\d+$"):
        up.port_of_flower()
    monkeypatch.setenv("FLOWER_PORT", "many")
    with pytest.raises(Failed, match="FLOWER_PORT must be a whole number"):
        up.port_of_flower()
