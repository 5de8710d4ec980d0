"""What befalls the cluster, one after another, and what has to be so before it ends."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster import network
from tests.cluster.cluster import Cluster
from tests.cluster.machines import Machine
from tests.cluster.programs import PATRONI


@dataclass(frozen=True)
class Fault:
    """`whom` it strikes, how it begins, and how it ends. `fails_over`: another primary must be
    there before it ends."""

    name: str
    whom: Callable[[Cluster], Machine]
    begin: Callable[[Cluster, Machine], None]
    end: Callable[[Cluster, Machine], None]
    fails_over: bool = False


def _standby(cluster: Cluster) -> Machine:
    """One without Redis' master, where there is one: that is a fault of its own."""
    primary, master = cluster.primary(), cluster.state.redis_master()
    others = [one for one in cluster.machines if one is not primary]
    return min(others, key=lambda one: one is master)


def _redis_master(cluster: Cluster) -> Machine:
    master = cluster.state.redis_master()
    assert master, "no Sentinel names a Redis master"
    return master


def _etcd_leader(cluster: Cluster) -> Machine:
    leader = cluster.state.etcd_leader()
    assert leader, "etcd has no leader"
    return leader


def _lose_power(_: Cluster, machine: Machine) -> None:
    machine.lose_power()


def _boot(_: Cluster, machine: Machine) -> None:
    machine.boot()


def _cut(_: Cluster, machine: Machine) -> None:
    network.cut(machine.number)


def _mend(_: Cluster, machine: Machine) -> None:
    network.mend(machine.number)


def _freeze(_: Cluster, machine: Machine) -> None:
    machine.freeze()


def _thaw(_: Cluster, machine: Machine) -> None:
    machine.thaw()


def _hold_etcd(_: Cluster, machine: Machine) -> None:
    machine.hold(["etcd"])


def _let_etcd_go(_: Cluster, machine: Machine) -> None:
    machine.let_go(["etcd"])


def _switch_over(_: Cluster, machine: Machine) -> None:
    """As an operator does it: `patronictl switchover`."""
    ctl = str(PATRONI.with_name("patronictl"))
    file = str(machine.folder / "etc" / "patroni.yml")
    inside = ["ip", "netns", "exec", network.namespace(machine.number)]
    asked = [ctl, "-c", file, "switchover", "--leader", machine.name, "--force"]
    done = subprocess.run([*inside, *asked], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, json.dumps(done.stdout + done.stderr)


def _kill_postgres(_: Cluster, machine: Machine) -> None:
    machine.kill("postgres")


def _kill_ours(_: Cluster, machine: Machine) -> None:
    machine.hold(["web", "worker", "webhooks", "beat"])


def _let_ours_go(_: Cluster, machine: Machine) -> None:
    machine.let_go(["web", "worker", "webhooks", "beat"])


def _nothing(_: Cluster, __: Machine) -> None:
    """It ends by itself."""


FAULTS = (
    Fault("planned switchover", Cluster.primary, _switch_over, _nothing, fails_over=True),
    Fault("standby: link cut", _standby, _cut, _mend),
    Fault("primary: power lost", Cluster.primary, _lose_power, _boot, fails_over=True),
    Fault("etcd's leader: killed", _etcd_leader, _hold_etcd, _let_etcd_go),
    Fault("primary: link cut", Cluster.primary, _cut, _mend, fails_over=True),
    Fault("standby: power lost", _standby, _lose_power, _boot),
    Fault("primary: frozen (SIGSTOP)", Cluster.primary, _freeze, _thaw, fails_over=True),
    Fault("Redis' master: power lost", _redis_master, _lose_power, _boot),
    Fault("primary: PostgreSQL killed", Cluster.primary, _kill_postgres, _nothing),
    Fault("standby: our processes killed", _standby, _kill_ours, _let_ours_go),
)
