"""`billing up` gives the processes ports for their metrics, and tells a Prometheus where."""

import json
import socket
from pathlib import Path

from cli.operating import scraping
from service.settings import Settings
from tests.conftest import KEY

NAMES = ("worker", "webhooks", "web", "beat", "flower")


def settings(folder: Path, **fields: object) -> Settings:
    return Settings(data_dir=folder, encryption_keys=KEY, **fields)  # type: ignore[arg-type]


def test_each_process_without_a_port_of_its_own_gets_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        watched = scraping.addresses(settings(tmp_path, metrics_port=port), NAMES)
    assert list(watched) == ["worker", "webhooks", "beat"]
    ports = [port for _, port in watched.values()]
    assert len({*ports, port}) == 4
    told = scraping.environ_of(NAMES, watched)
    assert told["worker"] == {"BILLING_METRICS_PORT": str(ports[0])}
    # Where one port was asked for, nobody else may listen on it.
    assert told["web"] == told["flower"] == {"BILLING_METRICS_PORT": "0"}


def test_a_prometheus_finds_them_by_a_file(tmp_path: Path) -> None:
    here = settings(tmp_path, http_port=8123)
    scraping.announce(here, {"beat": ("::1", 9), "web": scraping.of_web(here)})
    file = tmp_path / "prometheus.json"
    assert json.loads(file.read_text()) == [
        {"targets": ["[::1]:9"], "labels": {"process": "beat"}},
        {"targets": ["127.0.0.1:8123"], "labels": {"process": "web"}},
    ]
    assert file.stat().st_mode & 0o777 == 0o644
    scraping.withdraw(here)
    assert not file.exists()
