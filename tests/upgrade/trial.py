"""An upgrade in the middle of a storm, and the way back; all that the storm's witness judges by.

What happens, by the share of the storm's time that has passed:

- old processes on their own tables;
- new ones that come too early: a worker ends, and is started again; `web` says that it isn't
  ready, and answers 503 where it lacks a column;
- `billing migrate` of the new version, under load;
- new processes beside the old ones, one by one, behind one load balancer; operators use either
  version's command; half of the producers have the old SDK all the time;
- the old ones go, one by one; the new ones are alone;
- back: the old version again on the new tables, and the new one goes;
- after the storm, all that is open ends by the old version alone; at last the new one takes over,
  posts what the old one did not, and `billing verify` has its say.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import urllib3

from tests.storm.crew import Crew
from tests.storm.faults import Storm, plan
from tests.storm.staff import Cli
from tests.storm.stage import SHOPS, Run, Say
from tests.support import databases
from tests.support.nursery import Nursery
from tests.support.ports import free_port
from tests.support.programs import ROOT, Program
from tests.support.waiting import wait_for
from tests.upgrade.balancer import balanced
from tests.upgrade.fleet import ROLES, Fleet, Version
from tests.upgrade.releases import Release

OLD_SDK = ("shop-sdk", "shop-sdk-mail")


class Commands(Nursery):
    """`billing …` of any of the versions that are there."""

    def __init__(self, nurseries: dict[str, Nursery], seed: object) -> None:
        self._nurseries = nurseries
        self._dice = Random(f"commands {seed}")
        self.versions: tuple[str, ...] = ("old",)

    def run(self, *arguments: Any, **options: Any) -> Program:
        return self._nurseries[self._dice.choice(self.versions)].run(*arguments, **options)


class Upgrade(Run):
    """One upgrade, in a folder."""

    fleet: Fleet

    def __init__(
        self,
        folder: Path,
        nurseries: dict[str, Nursery],
        *,
        release: Release,
        old: Path,
        seed: int,
        seconds: float,
        broker: str,
        say: Say,
    ) -> None:
        super().__init__(
            folder, nurseries["new"], seed=seed, seconds=seconds, broker=broker, say=say
        )
        self.release = release
        self.old = old
        self.nurseries = nurseries
        # docs/how-to/upgrade.md: in this order forward, and in the opposite one back.
        self.forward = list(ROLES)
        if not release.order_matters:
            Random(f"order {seed}").shuffle(self.forward)
        self.back = self.forward[::-1]
        self._commands = Commands(nurseries, seed)
        self.notes |= {"from": release.head, "order": self.forward}

    # --- What the storm asks for ---

    @property
    def commands(self) -> Nursery:
        return self._commands

    def _tables(self, enter: Callable[[Any], Any]) -> str:
        return str(enter(databases.fresh(self.database, migrated=False)))

    def _settle_in(self, enter: Callable[[Any], Any], database_url: str) -> None:
        self.ports = {"old": free_port(), "new": free_port()}
        port = enter(balanced(lambda: [*self.ports.values()], self.seed))
        super()._settle_in(enter, database_url)
        self.url = f"http://127.0.0.1:{port}"
        status, said = self._billing("old", "migrate", "--json")
        assert status == 0, said
        applied = json.loads(said[said.index("{") :])["applied"]
        assert applied[-1] == self.release.head, "this is not the old version"

    def _crew(self) -> Crew:
        checkouts = {"old": self.old, "new": ROOT}
        versions = {
            name: Version(
                self.nurseries[name],
                checkouts[name],
                {**self.environ, "BILLING_HTTP_PORT": str(port)},
            )
            for name, port in self.ports.items()
        }
        self.fleet = Fleet(versions, self.folder / "logs", self.seed)
        return self.fleet

    def _shop(self, name: str, wish: str) -> Callable[[], Program]:
        if name not in OLD_SDK:
            return super()._shop(name, wish)
        environ = {key: value for key, value in self.environ.items() if "BILLING_" not in key}
        return lambda: self.nurseries["old"].run(name, "tests.storm.shop", [wish], environ)

    def _storm(self) -> None:
        faults = plan(self.seed, self.seconds)
        self.say(f"{len(faults)} faults in {self.seconds:g} s, seed {self.seed}")
        self.staff = self._staff()
        for colleague in self.staff:
            colleague.start()
        self.receivers.calm = False
        (self.folder / "storm").touch()
        self.storm = Storm(
            self.crew, self.database, self.database_wire, self.broker, self.broker_wire, [*SHOPS]
        )
        upgrade = threading.Thread(target=self._go, args=(time.monotonic(),), name="upgrade")
        upgrade.start()
        self.storm.blow(faults)
        upgrade.join()

    def _calm(self) -> None:
        super()._calm()
        self._forward_again()

    # --- The upgrade ---

    def _go(self, began: float) -> None:
        steps: list[tuple[float, Callable[[], None]]] = [
            (0.10, self._come_too_early),
            (0.15, self._migrate),
            (0.25, self._stand_beside),
            (0.50, self._leave_the_old),
            (0.70, self._go_back),
        ]
        try:
            for share, step in steps:
                time.sleep(max(0.0, began + share * self.seconds - time.monotonic()))
                at = time.monotonic() - began
                step()
                name = step.__name__.strip("_").replace("_", " ")
                self.say(f"  {name}: from {at:.0f} s to {time.monotonic() - began:.0f} s")
        except Exception as error:  # noqa: BLE001  # told at the end
            self.storm.errors.append(f"upgrade: {error!r}")

    def _come_too_early(self) -> None:
        """Kubernetes replaces all deployments at once: those before the migration end."""
        for role in ("worker", "web"):
            self.fleet.begin(f"new-{role}", is_ready=False)

        def refused() -> bool:
            ended = any(name.startswith("new-worker exit") for name in self.fleet.endings)
            return ended and self._is_ready("new") == 503

        wait_for(refused, what="new processes to refuse old tables", every_s=0.1)

    def _is_ready(self, version: str) -> int | None:
        """What its `web` answers a load balancer; None: nothing."""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            url = f"http://127.0.0.1:{self.ports[version]}/readyz"
            return urllib3.request("GET", url, retries=False, timeout=5).status
        return None

    def _migrate(self) -> None:
        """As often as the storm ends it."""

        def migrated() -> bool:
            status, said = self._billing("new", "migrate", "--json")
            self.notes.setdefault("migrate", []).append(said[-300:] if status else status)
            assert status == 0
            return True

        wait_for(migrated, what="the migrations")

    def _stand_beside(self) -> None:
        for role in self.forward:
            if f"new-{role}" in self.fleet.roles:
                wait_for(
                    lambda role=role: self.fleet.works(f"new-{role}"),  # type: ignore[misc]
                    what=f"new-{role} to find its tables",
                    every_s=0.1,
                )
            else:
                self.fleet.begin(f"new-{role}")
        wait_for(lambda: self._is_ready("new") == 200, what="new-web to be ready", every_s=0.1)
        self._commands.versions = ("old", "new")

    def _leave_the_old(self) -> None:
        for role in self.forward:
            self.fleet.retire(f"old-{role}")
        self._commands.versions = ("new",)

    def _go_back(self) -> None:
        stays = () if self.release.reads_sealed_secrets else ("webhooks",)
        for role in self.back:
            if role not in stays:
                self.fleet.begin(f"old-{role}")
        self._commands.versions = ("old", "new")
        for role in self.back:
            if role not in stays:
                self.fleet.retire(f"new-{role}")
        self._commands.versions = ("old",)

    def _forward_again(self) -> None:
        for role in self.forward:
            if f"new-{role}" not in self.fleet.roles:
                self.fleet.begin(f"new-{role}")
        for role in self.forward:
            if f"old-{role}" in self.fleet.roles:
                self.fleet.retire(f"old-{role}")
        self._commands.versions = ("new",)
        status, said = self._billing("new", "ledger", "fill", "--again", "--json")
        assert status == 0, said
        self._read_everything()
        status, said = self._billing("new", "verify")
        self.notes["verify"] = [status, said]
        self.notes["ended_at"] = time.monotonic()

    def _billing(self, version: str, *arguments: str) -> tuple[int, str]:
        cli = Cli(self.nurseries[version], self.quiet_environ, self.journal, "setup")
        return cli.run(*arguments, did="setup")
