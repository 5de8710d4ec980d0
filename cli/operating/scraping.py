"""Where the processes of `billing up` tell their metrics, and how a Prometheus here finds them."""

import json
from collections.abc import Iterable, Mapping

from cli import ports
from service import data_dir
from service.settings import Settings, variable

# Those that have something to tell and no HTTP port of their own, which `web` and Flower have.
WATCHED = ("worker", "webhooks", "beat")
# Where monitors look first: the usual one of OpenTelemetry's exporters for Prometheus.
PORT = 9464
# Of Prometheus' `file_sd_configs`: deploy/monitoring/prometheus.yml.
TARGETS = "prometheus.json"

Address = tuple[str, int]


def addresses(settings: Settings, names: Iterable[str]) -> dict[str, Address]:
    """Where each process that has metrics tells them: BILLING_METRICS_PORT and those behind it, as
    far as they are free."""
    found: dict[str, Address] = {}
    port = settings.metrics_port or PORT
    for name in names:
        if name in WATCHED:
            port = ports.free(*range(port, port + 100), host=settings.metrics_host)
            found[name] = (settings.metrics_host, port)
            port += 1
    return found


def environ_of(names: Iterable[str], watched: Mapping[str, Address]) -> dict[str, dict[str, str]]:
    """The individual environment of each process."""
    return {
        name: {variable("metrics_port"): str(watched[name][1] if name in watched else 0)}
        for name in names
    }


def of_web(settings: Settings) -> Address:
    """`web` tells its metrics where it answers everything else."""
    return settings.http_host, settings.http_port


def announce(settings: Settings, watched: Mapping[str, Address]) -> None:
    """Write them down for a Prometheus on this machine."""
    targets = [
        {"targets": [_place(address)], "labels": {"process": name}}
        for name, address in watched.items()
    ]
    path = settings.data_dir / TARGETS
    data_dir.write_private(path, json.dumps(targets, indent=2) + "\n")
    path.chmod(0o644)  # no secret, and Prometheus is another user


def withdraw(settings: Settings) -> None:
    """No process serves metrics any more."""
    (settings.data_dir / TARGETS).unlink(missing_ok=True)


def url_of(address: Address) -> str:
    """Where to look for them."""
    return f"http://{_place(address)}/metrics"


def _place(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
