"""How fast, and at what cost: our delivery beside the bare loop, in turns."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace

from benchmarks import meter
from benchmarks.place import Place
from benchmarks.receiver import Receiver
from benchmarks.run import POLL_S, SILENCE_MAX_S
from benchmarks.webhooks.worker import BODY, Webhooks
from infra.billing.contract.signatures import new_secret

IN_FLIGHT = 200  # of the bare loop


@dataclass(frozen=True)
class Load:
    """So many webhooks for so many endpoints that answer after `delay_ms`."""

    name: str
    endpoints: int
    delay_ms: int
    number: int = 8_000
    warm_up: int = 2_000

    def quick(self) -> "Load":
        return replace(self, number=self.number // 20, warm_up=self.warm_up // 20)


LOADS = (
    Load("one at 0 ms", endpoints=1, delay_ms=0),
    Load("one at 100 ms", endpoints=1, delay_ms=100),
    Load("100 at 0 ms", endpoints=100, delay_ms=0),
)


@dataclass(frozen=True)
class Speed:
    """Webhooks per second, and CPU per webhook of the process that posts, in ms."""

    per_s: float
    cpu_ms: float


def bare(load: Load, receiver: Receiver) -> Speed:
    """The bare loop's."""
    orders = {
        "secret": new_secret(),
        "urls": [f"{receiver.url}{n}" for n in range(load.endpoints)],
        "body": BODY % "bench",
        "number": load.number,
        "warm_up": load.warm_up,
        "in_flight": IN_FLIGHT,
    }
    command = [sys.executable, "-m", "benchmarks.webhooks.bare"]
    done = subprocess.run(
        command, input=json.dumps(orders), capture_output=True, text=True, check=True
    )
    seconds, cpu_s = json.loads(done.stdout)
    receiver.take()
    return Speed(load.number / seconds, 1000 * cpu_s / load.number)


def ours(load: Load, receiver: Receiver, webhooks: Webhooks, place: Place) -> Speed:
    """Ours, from the wake-up call to the last arrival; its CPU until all is recorded."""
    ids = webhooks.endpoints([f"{receiver.url}{n}" for n in range(load.endpoints)])
    delivered(ids, load.warm_up, receiver, webhooks)
    receiver.take()
    webhooks.due(ids, load.number)
    place.postgres.execute("checkpoint")
    process = {"webhooks": webhooks.processes.roots["webhooks"]}
    before = meter.read(process, place.postgres)
    started_s = time.monotonic()
    webhooks.wake(ids)
    _wait(load.number, receiver, webhooks)
    spent = meter.read(process, place.postgres).since(before)
    last_s = max(arrival.at_s for arrival in receiver.take())
    return Speed(load.number / (last_s - started_s), 1000 * spent.cpu_s["webhooks"] / load.number)


def delivered(ids: list[str], number: int, receiver: Receiver, webhooks: Webhooks) -> None:
    webhooks.due(ids, number)
    webhooks.wake(ids)
    _wait(number, receiver, webhooks)


def _wait(number: int, receiver: Receiver, webhooks: Webhooks) -> None:
    """Until so many have come and all of them are recorded."""
    began_s = time.monotonic()
    while receiver.count() < number or webhooks.unfinished():
        webhooks.processes.check_alive()
        if time.monotonic() - began_s > 2 * SILENCE_MAX_S:
            raise TimeoutError(f"{receiver.count()} of {number}\n{webhooks.processes.log_tails()}")
        time.sleep(POLL_S)
