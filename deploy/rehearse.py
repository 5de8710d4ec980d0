"""Runs deploy/compose.yaml without a container engine, up to the first charge.

Every process of ours runs from the image's own root, read-only and as the image's user, in a
network of their own; PostgreSQL and Redis come from this machine's packages. It prints the seconds
after which each step was done.

    deploy/image.sh && .venv/bin/python deploy/rehearse.py    (root; Debian's postgresql and redis)
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

HERE = Path(__file__).parent
COMPOSE = yaml.safe_load((HERE / "compose.yaml").read_text())
ROLES = ("worker", "webhooks", "beat", "web")
PATIENCE_S = 120.0
# Mounts what compose.yaml mounts, then becomes the image's user in the image's root.
INSIDE = """
set -e
mount --make-rprivate /
mount --bind "$ROOT" "$AT" && mount -o remount,bind,ro "$AT"
mount --bind "$SECRETS" "$AT/run/secrets"
mount -t proc proc "$AT/proc"
for one in /tmp /run/billing /var/lib/billing; do mount -t tmpfs -o mode=1777 tmpfs "$AT$one"; done
mount --bind "$HOSTS" "$AT/etc/hosts"
mount --bind /dev "$AT/dev"
exec chroot --userspec=10001:10001 "$AT" "$@"
"""


def main() -> None:
    """From nothing to the first charge."""
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="billing-rehearsal-")))
        folder.chmod(0o755)
        subprocess.run([HERE / "secrets.sh"], check=True)
        network = stack.enter_context(a_network())
        servers(stack, network, folder)
        tell("PostgreSQL and Redis answer")
        house = House(stack, network, folder, stack.enter_context(mounted("billing")))
        house.run("migrate", *COMPOSE["services"]["migrate"]["command"])
        tell("the database is up to date")
        started = {role: house.start(role, *COMPOSE["services"][role]["command"]) for role in ROLES}
        for role, process in started.items():
            until(lambda process=process: house.is_healthy(process), f"{role} to be healthy")
        tell("worker, webhooks, beat and web are healthy")
        made = house.run("web", "keys", "create", "shop", "--json")
        key = json.loads(made)["key"]
        charge = json.loads(house.curl(key, "order-1001"))
        tell(f"first charge: {charge['state']}, {charge['amount']} {charge['currency']}")
        assert charge["state"] == "succeeded", charge
        house.run("web", "verify")
        tell("`billing verify` finds nothing wrong")
        refused = house.shell(started["web"], "touch /app/x /etc/x; id -u")
        assert refused.stdout.strip() == "10001", refused
        assert refused.stderr.count("Read-only file system") == 2, refused
        tell("the root is read-only, and its user 10001")


class House:
    """The image's root, and processes in it."""

    def __init__(self, stack: ExitStack, network: str, folder: Path, root: Path) -> None:
        self._stack, self._network, self._folder, self._root = stack, network, folder, root
        (root / "run/secrets").mkdir(exist_ok=True)  # as an engine makes the place of a mount
        hosts = folder / "hosts"
        hosts.write_text("127.0.0.1 localhost postgres redis web\n")
        self._hosts = hosts

    def _command(self, name: str, *command: str) -> tuple[list[str], dict[str, str]]:
        at = self._folder / f"root-{name}-{time.monotonic_ns()}"
        at.mkdir()
        config = json.loads(
            subprocess.check_output(["buildah", "inspect", "--type", "image", "billing"])
        )["Docker"]["config"]
        environ = dict(one.split("=", 1) for one in config["Env"])
        given = COMPOSE["services"][name]["environment"]
        environ |= {key: value for key, value in given.items() if not value.startswith("${")}
        # In compose each has a network, and so a port, of its own.
        environ["BILLING_METRICS_PORT"] = str(9464 + [*COMPOSE["services"]].index(name))
        environ |= {"ROOT": str(self._root), "AT": str(at), "HOSTS": str(self._hosts)}
        environ["SECRETS"] = str(self._secrets(at.name, COMPOSE["services"][name]["secrets"]))
        enter = ["ip", "netns", "exec", self._network, "unshare", "--mount", "sh", "-c", INSIDE]
        return [*enter, "sh", *config["Entrypoint"], *command], environ

    def _secrets(self, name: str, secrets: Sequence[str]) -> Path:
        """A folder with just those that compose.yaml names, as an engine mounts them."""
        folder = self._folder / f"secrets-{name}"
        folder.mkdir()
        for one in secrets:
            shutil.copy(HERE / "secrets" / one, folder)
        return folder

    def run(self, name: str, *command: str) -> str:
        """Run one of our commands to its end; returns its output."""
        line, environ = self._command(name, *command)
        return subprocess.run(
            line, env=environ, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def start(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        """Start one of our processes; it ends with this program."""
        line, environ = self._command(name, *command)
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(line, env=environ, stdout=log, stderr=log)
        self._stack.callback(end, process)
        return process

    def shell(
        self, process: "subprocess.Popen[bytes]", script: str
    ) -> "subprocess.CompletedProcess[str]":
        """A line of shell beside a process, as `docker exec` has it."""
        inside = ["nsenter", "--target", str(process.pid), "--mount", "--net", "--root", "--wd"]
        environ = dict(
            one.split("=", 1)
            for one in Path(f"/proc/{process.pid}/environ").read_text().split("\0")
            if "=" in one
        )
        user = ["--setuid", "10001", "--setgid", "10001"]
        command = [*inside, *user, "sh", "-c", script]
        return subprocess.run(command, env=environ, check=False, capture_output=True, text=True)

    def is_healthy(self, process: "subprocess.Popen[bytes]") -> bool:
        """What HEALTHCHECK of the image says."""
        if process.poll() is not None:
            for log in self._folder.glob("*.log"):
                print(log.name, log.read_text(errors="replace")[-2000:])
            raise SystemExit("a process has ended")
        return self.shell(process, "billing healthcheck").returncode == 0

    def curl(self, key: str, order: str) -> str:
        """The first charge of deploy/README.md."""
        body = {"amount": 1999, "currency": "USD", "payment_method_id": "pm_card_visa"}
        curl = ["curl", "-sS", "http://localhost:8000/v1/billing/charges", "-d", json.dumps(body)]
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": order, "Prefer": "wait=10"}
        for name, value in headers.items():
            curl += ["-H", f"{name}: {value}"]
        return subprocess.check_output(["ip", "netns", "exec", self._network, *curl], text=True)


@contextmanager
def a_network() -> Iterator[str]:
    """A network with nothing but its own loopback."""
    name = f"billing-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """The root of an image."""
    container = subprocess.check_output(["buildah", "from", image], text=True).strip()
    try:
        yield Path(subprocess.check_output(["buildah", "mount", container], text=True).strip())
    finally:
        subprocess.run(["buildah", "rm", container], check=True, stdout=subprocess.DEVNULL)


def servers(stack: ExitStack, network: str, folder: Path) -> None:
    """PostgreSQL and Redis, with the passwords and options of compose.yaml."""
    bin_ = max(Path("/usr/lib/postgresql").iterdir(), key=lambda path: int(path.name)) / "bin"
    data, redis = folder / "postgres", folder / "redis"
    for one in (data, redis):
        one.mkdir()
        shutil.chown(one, "postgres", "postgres")
    settings = COMPOSE["services"]["postgres"]["environment"]
    password = HERE / "secrets" / "owner-password"
    copy = folder / "owner-password"
    shutil.copy(password, copy)
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    run([*as_postgres, bin_ / "initdb", "-D", data, "-U", settings["POSTGRES_USER"],
         f"--pwfile={copy}", "--auth=scram-sha-256", "--no-sync"])  # fmt: skip
    inside = ["ip", "netns", "exec", network, *as_postgres]
    options = COMPOSE["services"]["postgres"]["command"][1:]
    log = stack.enter_context((folder / "servers.log").open("wb"))
    for command in (
        [*inside, bin_ / "postgres", "-D", data, "-k", data, *options],
        [*inside, "redis-server", "-", "--dir", redis],
    ):
        config = (HERE / "secrets/redis.conf").read_text().replace("dir /data", f"dir {redis}")
        with tempfile.TemporaryFile() as given:
            given.write(config.encode())
            given.seek(0)
            process = subprocess.Popen(command, stdin=given, stdout=log, stderr=log)
        stack.callback(end, process)
    environ = {**os.environ, "PGPASSWORD": password.read_text().strip()}
    psql = [
        "ip",
        "netns",
        "exec",
        network,
        "psql",
        "-qh",
        "127.0.0.1",
        "-U",
        settings["POSTGRES_USER"],
    ]
    create = [*psql, "postgres", "-c", f"CREATE DATABASE {settings['POSTGRES_DB']}"]

    def created() -> bool:
        return subprocess.run(create, env=environ, check=False, stderr=log).returncode == 0

    until(created, "PostgreSQL to answer")


def until(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > deadline:
            sys.exit(f"waited {PATIENCE_S:g} s for {what}")
        time.sleep(0.5)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


def run(command: Sequence[object]) -> None:
    subprocess.run([str(one) for one in command], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
