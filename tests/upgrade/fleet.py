"""Processes of two versions beside each other; who is there changes as the upgrade goes on."""

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.supervisor import parse_procfile
from tests.storm.crew import Crew
from tests.support.nursery import Nursery
from tests.support.programs import READY, Program
from tests.support.waiting import wait_for, wait_for_end

ROLES = ("worker", "webhooks", "beat", "web")


@dataclass(frozen=True, slots=True)
class Version:
    """Where its processes come from, and the environment that they get."""

    nursery: Nursery
    checkout: Path
    environ: Mapping[str, str]


class Fleet(Crew):
    """A crew whose members are called `old-worker`, `new-web`, …; it begins with the old ones.

    Methods may be called from any thread.
    """

    def __init__(self, versions: Mapping[str, Version], logs: Path, seed: object) -> None:
        super().__init__(versions["new"].nursery, versions["new"].environ, logs, seed)
        self._versions = versions
        self._lines = {
            name: parse_procfile((version.checkout / "Procfile").read_text())
            for name, version in versions.items()
        }
        self.roles = {f"old-{role}": role for role in ROLES}

    def environ_of(self, version: str) -> Mapping[str, str]:
        return self._versions[version].environ

    def command(self, version: str, *arguments: str) -> dict[str, Any]:
        """The JSON that this version's `billing …` answers with."""
        of = self._versions[version]
        program = of.nursery.run("cli", "cli", arguments, of.environ)
        try:
            assert program.end_of_itself() == 0, program.output
            said = program.output
        finally:
            program.end()
        found: dict[str, Any] = json.loads(said[said.index("{") :])
        return found

    def launch(self, name: str) -> Program:
        version = name.split("-", maxsplit=1)[0]
        line = self._lines[version][self.roles[name]].replace("webhooks@", f"{name}@")
        of = self._versions[version]
        return self._run(name, line, of.nursery, of.environ)

    def begin(self, name: str, *, is_ready: bool = True) -> None:
        """Start one more, and wait until it works, which it may do only after a fault or two."""
        with self._lock:
            self.roles[name] = name.split("-")[1]
            self.hire(name, lambda: self.launch(name))
        if is_ready:
            wait_for(lambda: self.works(name), what=f"{name} to work", every_s=0.1)

    def works(self, name: str) -> bool:
        """Whether it has said so."""
        program = self.running[name]
        assert READY[self.roles[name]].search(program.output), program.output[-3000:]
        return program.alive

    def retire(self, name: str) -> None:
        """SIGTERM, as in a deployment, and wait for its end; it does not come back."""
        with self._lock:
            del self._starts[name]
            del self.roles[name]
            self._due.pop(name, None)
            program = self.running[name]
            program.signal(signal.SIGTERM)
            self.counts[f"retired {name}"] += 1
        wait_for_end(program.child, what=f"{name} to retire")
        self.bury(name, program)
