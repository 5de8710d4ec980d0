"""`billing up`: everything running in one folder, with servers of our own where none are given."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer
from pydantic import SecretStr

from cli import ports
from cli.operating import scraping
from cli.output import Failed
from local import welcome as welcoming
from local.narrator import Narrator
from service import settings as settings_module
from service.network_settings import LOOPBACK
from service.settings import Settings

if TYPE_CHECKING:
    from local.embedded.embedded_server import Server
    from local.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
# Beyond the time workers may take to finish what they do: Celery's own shutdown.
STOP_MARGIN_S = 5.0
SERVER_CHECK_S = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(BaseException):
    """A signal asked to stop while we were still starting."""


class Stopping:
    """Turns a signal into an orderly stop; a second one makes it fast."""

    def __init__(self) -> None:
        self.supervisor: Supervisor | None = None
        self._asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.supervisor is not None:
            self.supervisor.stop()
        elif not self._asked:
            self._asked = True  # cleaning up is not to be interrupted
            raise Stop


def register(root: typer.Typer) -> None:
    root.command()(up)


def up(
    procfile: Path = typer.Option(ROOT / "Procfile", help="The processes to run.", dir_okay=False),
) -> None:
    """Run everything on this machine until Ctrl-C.

    PostgreSQL and Valkey are our own unless their URLs are set.
    """
    from service import data_dir

    settings = settings_module.read()
    narrator = Narrator(settings.log_format, settings.log_level)
    with heeding_signals() as stopping, data_dir.locked(settings.data_dir):
        try:
            with ExitStack() as stack, contextlib.suppress(Stop):
                run(settings, read_procfile(procfile), narrator, stopping, stack)
                narrator.report("billing", "stopping")
        finally:
            data_dir.withdraw(settings.data_dir)
            scraping.withdraw(settings)
        narrator.report("billing", "stopped")


def read_procfile(path: Path) -> dict[str, list[str]]:
    """Name → command. Raises Failed for a file that names nothing, or what isn't installed."""
    from local.supervisor import command_of, parse_procfile

    try:
        lines = parse_procfile(path.read_text())
        return {name: command_of(line) for name, line in lines.items()}
    except (OSError, ValueError, AssertionError) as error:
        raise Failed(f"{path}: {error}") from None


def run(
    settings: Settings,
    commands: Mapping[str, Sequence[str]],
    narrator: Narrator,
    stopping: Stopping,
    stack: ExitStack,
) -> None:
    """Start servers, bring the database up to date, run the commands until asked to stop.

    Raises Failed, with nothing started, when the HTTP port that is asked for is taken. Servers are
    stopped by `stack`, after everything that uses them.
    """
    from local.supervisor import Supervisor
    from service import data_dir

    given_port = settings.http_port if "http_port" in settings.model_fields_set else 0
    if "web" in commands:
        ports.require_free(settings.http_host, given_port)
    flower_port = port_of_flower()
    settings, servers = start_servers(settings, narrator, stack)
    key = bring_up_to_date(settings, narrator, makes_key="database_url" in servers)
    if "web" in commands and not given_port:
        settings = at_a_free_port(settings, narrator)
    web = welcoming.Door(ports.url_of(settings), key) if "web" in commands else None
    facts = {"database_url": settings.database_url, "broker_url": settings.broker_url}
    ours = {name: facts[name] for name, server in servers.items() if server.alive}
    if "database_url" in ours:
        ours["database_direct_url"] = settings.database_direct_url
    ours["webhook_allow_private"] = ",".join(map(str, settings.webhook_allow_private))
    ours["encryption_keys"] = settings.encryption_keys.get_secret_value()
    data_dir.announce(settings.data_dir, ours)
    watched = scraping.addresses(settings, commands)
    scraping.announce(settings, {**watched, **({"web": scraping.of_web(settings)} if web else {})})
    revive = reviver(list(servers.values()), narrator)

    def welcome(late: list[str]) -> None:
        ways = welcoming.exports(
            settings,
            own_broker="broker_url" in servers,
            show_secret=sys.stdout.isatty(),
            web=web,
        )
        facts = {"data and logs": str(settings.data_dir)}
        facts |= {server.name: f"127.0.0.1:{server.port}" for server in servers.values()}
        if web is not None:
            facts["HTTP"] = f"{web.url}/v1/billing, described at {web.url}/openapi.json"
            if settings.console == "on":
                facts["Console"] = f"{web.url}/console/, with a key of `billing keys create`"
            facts["metrics"] = f"{web.url}/metrics" + "".join(
                f", {scraping.url_of(address)} ({name})" for name, address in watched.items()
            )
        if "flower" in commands:
            facts["Flower"] = f"http://127.0.0.1:{flower_port}"
        narrator.welcome(ways, facts)
        narrator.report("billing", f"not ready yet: {', '.join(late)}" if late else "all ready")

    lookout = welcoming.Lookout(commands, welcome)

    def echo(name: str, line: str) -> None:
        narrator.echo(name, line)
        lookout.hear(name, line)

    def tick() -> None:
        revive()
        lookout.look()

    theirs = settings.model_copy(update={"database_direct_url": ""})
    supervisor = Supervisor(
        commands,
        environ=settings_module.environ_of(theirs, **environ_here(flower_port)),
        environ_of=scraping.environ_of(commands, watched),
        folder=ROOT,
        echo=echo,
        report=narrator.report,
        stop_s=settings.drain_s + STOP_MARGIN_S,
        tick=tick,
    )
    stopping.supervisor = supervisor
    supervisor.run()


def at_a_free_port(settings: Settings, narrator: Narrator) -> Settings:
    """The settings with the usual port, or with another one if that is taken and was not
    requested."""
    port = ports.free(settings.http_port, host=settings.http_host)
    if settings.http_port not in (0, port):
        narrator.report("billing", f"port {settings.http_port} is taken, web takes {port}")
    return settings.model_copy(update={"http_port": port})


def port_of_flower() -> int:
    """The one that FLOWER_PORT asks for, or else the usual or a free one. Raises Failed."""
    given = settings_module.outside_environ().get("FLOWER_PORT", "")
    if not given:
        return ports.free(ports.FLOWER_PORT)
    if not (given.isdecimal() and 0 < int(given) < 65_536):
        raise Failed("FLOWER_PORT must be a whole number from 1 to 65535")
    ports.require_free("127.0.0.1", int(given), asked_by="FLOWER_PORT")
    return int(given)


def environ_here(flower_port: int) -> dict[str, str]:
    """The environment of processes besides settings."""
    # Celery takes eight lines to say that root is no user for a worker: true, and for production.
    quiet = "ignore:You're running the worker with superuser privileges"
    given = settings_module.outside_environ().get("PYTHONWARNINGS")
    return {
        "FLOWER_PORT": str(flower_port),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": f"{given},{quiet}" if given else quiet,
    }


def start_servers(
    settings: Settings, narrator: Narrator, stack: ExitStack
) -> tuple[Settings, dict[str, "Server"]]:
    """Servers of our own for the URLs that are unset, by setting; and settings with all URLs.

    With a database of our own, a key for what is encrypted there is ours, too. Raises SettingsError
    when a key for another is missing.
    """
    from local.embedded.postgres import Postgres
    from local.embedded.redis import Redis
    from service import data_dir
    from service.wiring import vault

    if settings.database_url:
        vault(settings)
    servers: dict[str, Server] = {}
    found: dict[str, object] = {}
    for name, kind in (("database_url", Postgres), ("broker_url", Redis)):
        if getattr(settings, name):
            continue
        server: Server = kind(settings.data_dir / kind.name.lower())
        narrator.report("billing", f"starting {server.name}")
        stack.callback(server.stop)  # first: starting it may be interrupted
        found[name] = server.start()
        servers[name] = server
        if isinstance(server, Postgres):
            found |= {name: server.service_url, "database_direct_url": server.url}
    if not settings.webhook_allow_private:
        found["webhook_allow_private"] = LOOPBACK  # on one machine, receivers are on it too
    if "database_url" in servers and not settings.encryption_keys.get_secret_value():
        found["encryption_keys"] = SecretStr(data_dir.encryption_key(settings.data_dir))
    return settings.model_copy(update=found), servers


def bring_up_to_date(settings: Settings, narrator: Narrator, *, makes_key: bool) -> str | None:
    """Migrate, whatever the database's state; returns the key for development, if one is made."""
    from local import development_key
    from service.database import migrate
    from service.database.database_limits import MIGRATION
    from service.database.engine import open_engine

    engine = open_engine(settings.migrated_at, MIGRATION)
    try:
        if applied := migrate.upgrade(engine, runs_as=settings.database_url):
            steps = applied[0] if len(applied) == 1 else f"{applied[0]} to {applied[-1]}"
            narrator.report("billing", f"database brought up to date: {steps}")
        return development_key.ensure(engine, settings.data_dir) if makes_key else None
    finally:
        engine.dispose()


def reviver(servers: Sequence["Server"], narrator: Narrator) -> Callable[[], None]:
    """A function to call now and then, which restarts an embedded server that died."""
    from local.embedded.embedded_server import EmbeddedError

    check_at = 0.0

    def revive() -> None:
        nonlocal check_at
        if time.monotonic() < check_at:
            return
        check_at = time.monotonic() + SERVER_CHECK_S
        for server in servers:
            if server.alive:
                continue
            narrator.report("billing", f"{server.name} has ended, starting it again")
            port = server.port
            try:
                server.start()
            except EmbeddedError as error:
                narrator.report("billing", str(error))
                continue
            if server.port != port:  # processes hold the old URL, and can't be told
                narrator.report("billing", f"{server.name} lost its port: restart `billing up`")

    return revive


@contextmanager
def heeding_signals() -> Iterator[Stopping]:
    """Take Ctrl-C, TERM and a closed terminal as a wish to stop, until the end of the `with`."""
    stopping = Stopping()
    before = {number: signal.signal(number, stopping) for number in STOP_SIGNALS}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
