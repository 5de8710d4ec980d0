"""What runs on each machine: deploy/cluster, filled in as its comments say, and our processes."""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from cli.processes.healthcheck import ROLES
from payments.access import encryption_keys
from tests.cluster import network
from tests.cluster.machines import Machine, Program
from tests.support.programs import ROOT

DEPLOY = ROOT / "deploy" / "cluster"
PATRONI = ROOT / ".venv" / "patroni" / "bin" / "patroni"
POSTGRES = Path("/usr/lib/postgresql")
OURS = ("web", "worker", "webhooks", "beat")
HTTP_PORT = 8000
# PostgreSQL runs as no root. What it needs to read of a checkout in root's home it may.
AS_POSTGRES = (
    "setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip
NEEDED = {
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}


def obstacle() -> str | None:
    """What is missing on this host to run all of it; None if nothing is."""
    missing = {package for name, package in NEEDED.items() if shutil.which(name) is None}
    if not _versions():
        missing.add("postgresql")
    if missing:
        return f"programs are missing (Debian: apt install {' '.join(sorted(missing))})"
    return None if PATRONI.exists() else "Patroni is missing: run it as `make cluster`"


def _versions() -> list[int]:
    return sorted(int(one.parent.parent.name) for one in POSTGRES.glob("[0-9]*/bin/postgres"))


@dataclass(frozen=True)
class Secrets:
    """Passwords of one run."""

    superuser: str = field(default_factory=secrets.token_hex)
    replication: str = field(default_factory=secrets.token_hex)
    redis: str = field(default_factory=secrets.token_hex)
    billing: str = field(default_factory=secrets.token_hex)
    encryption: str = field(default_factory=encryption_keys.new_key)


def values(number: int, data: str, passwords: Secrets, *, postgres: int) -> dict[str, str]:
    """What stands in deploy/cluster for each `${NAME}`."""
    return {
        "NODE": str(number),
        "ADDRESS": network.address(number),
        "NETWORK": network.NETWORK,
        **{f"MACHINE_{one}": network.address(one) for one in network.NUMBERS},
        "DATA": data,
        "POSTGRES": str(postgres),
        "SUPERUSER_PASSWORD": passwords.superuser,
        "REPLICATION_PASSWORD": passwords.replication,
        "REDIS_PASSWORD": passwords.redis,
    }


def filled_in(known: Mapping[str, str]) -> dict[str, str]:
    """The files of deploy/cluster by name. Raises KeyError for a name that has no value."""
    return {
        path.name: Template(path.read_text()).substitute(known) for path in sorted(DEPLOY.iterdir())
    }


def database_url(passwords: Secrets) -> str:
    """All three machines; whoever connects finds the one that can be written to."""
    hosts = ",".join(f"{network.address(number)}:5432" for number in network.NUMBERS)
    return f"postgresql+psycopg://billing:{passwords.billing}@{hosts}/billing"


def through_haproxy(passwords: Secrets) -> str:
    """The HAProxy of the same machine."""
    return f"postgresql+psycopg://billing:{passwords.billing}@127.0.0.1:5000/billing"


def broker_url(passwords: Secrets) -> str:
    """The Redis that any of three Sentinels names."""
    hosts = ";".join(f"{network.address(number)}:26379" for number in network.NUMBERS)
    return f"sentinel://:{passwords.redis}@{hosts}/0?master_name=billing"


def environ(passwords: Secrets, url: str, folder: Path) -> dict[str, str]:
    """For processes of ours."""
    inherited = {name: value for name, value in os.environ.items() if "BILLING_" not in name}
    return inherited | {
        "BILLING_DATABASE_URL": url,
        "BILLING_BROKER_URL": broker_url(passwords),
        "BILLING_DATA_DIR": str(folder / "billing"),
        "BILLING_ENCRYPTION_KEYS": passwords.encryption,
        "BILLING_WEBHOOK_ALLOW_PRIVATE": network.NETWORK,
        "BILLING_LOG_FORMAT": "json",
        "BILLING_SANDBOX_LATENCY_MS": "50",
        "PYTHONUNBUFFERED": "1",
    }


def install(machine: Machine, passwords: Secrets) -> None:
    """Its configuration, its folders, and the list of its programs."""
    assert set(OURS) <= set(ROLES)
    data, etc = machine.folder / "data", machine.folder / "etc"
    for folder in (data, etc, data / "redis", data / "sentinel"):
        folder.mkdir()
    shutil.chown(data, "postgres", "postgres")
    known = values(machine.number, str(data), passwords, postgres=_versions()[-1])
    for name, text in filled_in(known).items():
        follows = name == "redis.conf" and machine.number != 1
        line = f"replicaof {network.address(1)} 6379\n" if follows else ""
        (etc / name).write_text(text + line)
    plain = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    # The third goes through HAProxy, so that both ways are tried.
    url = through_haproxy(passwords) if machine.number == 3 else database_url(passwords)
    ours = environ(passwords, url, data) | {
        "BILLING_HTTP_HOST": machine.address,
        "BILLING_HTTP_PORT": str(HTTP_PORT),
    }
    billing = str(ROOT / ".venv" / "bin" / "billing")
    machine.programs = [
        Program("etcd", ["etcd", "--config-file", str(etc / "etcd.yml")], plain),
        Program("patroni", [*AS_POSTGRES, str(PATRONI), str(etc / "patroni.yml")], plain, "/"),
        Program("haproxy", ["haproxy", "-db", "-f", str(etc / "haproxy.cfg")], plain),
        Program("redis", ["redis-server", str(etc / "redis.conf")], plain),
        Program("sentinel", ["redis-server", str(etc / "sentinel.conf"), "--sentinel"], plain),
        *(Program(role, [billing, "run", role], ours) for role in OURS),
    ]
