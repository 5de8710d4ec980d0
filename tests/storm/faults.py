"""What befalls the system, and when: a plan that follows from the seed, and its execution."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from random import Random

import psycopg

from local.embedded.postgres import Postgres
from tests.storm.crew import Crew
from tests.storm.servers import Broker
from tests.storm.wire import Wire
from tests.support.waiting import patience_s

# How often each comes, in relation to the others.
WEIGHTS = {
    "kill": 22,
    "kill two": 4,
    "stop": 12,
    "stop and kill": 3,
    "terminate": 3,
    "cut commits before": 7,
    "cut commits after": 9,
    "cut commits half": 4,
    "cut database": 5,
    "cut database in mid-byte": 8,
    "cut broker": 4,
    "cut broker in mid-byte": 7,
    "database silent": 4,
    "broker silent": 4,
    "kill a shop": 4,
    "broker empty": 3,
    "broker crash": 3,
    "broker full": 3,
    "database crash": 2,
    "backends terminated": 3,
}
PAUSE_S = (0.2, 1.6)  # between two faults; some last longer, so several are at once
# A stop outlives a lease (3 s) or it doesn't: both kinds of zombie.
STOP_S = (0.5, 7.0)
SILENCE_S = (0.5, 5.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """One of WEIGHTS, so many seconds after the storm has begun."""

    at_s: float
    what: str
    seed: str

    def __str__(self) -> str:
        return f"{self.at_s:7.1f} s  {self.what}"


def plan(seed: object, seconds: float) -> list[Fault]:
    """The faults of a storm; the same for the same seed. Each kind comes at least once, if there
    is time for so many."""
    dice = Random(f"faults {seed}")
    order = [*WEIGHTS]
    dice.shuffle(order)
    faults: list[Fault] = []
    at = 0.3
    while at < seconds:
        what = order.pop() if order else dice.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        faults.append(Fault(at, what, f"{seed} {len(faults)}"))
        at += dice.uniform(*PAUSE_S)
    return faults


class Storm:
    """Carries out a plan, each fault in a thread of its own, since some of them last."""

    def __init__(
        self,
        crew: Crew,
        database: Postgres,
        database_wire: Wire,
        broker: Broker,
        broker_wire: Wire,
        shops: list[str],
    ) -> None:
        self.crew = crew
        self.database = database
        self.database_wire = database_wire
        self.broker = broker
        self.broker_wire = broker_wire
        self.shops = shops
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self._ends = threading.Event()
        # A server is restarted by one fault at a time.
        self._database_lock = threading.Lock()
        self._broker_lock = threading.Lock()

    def blow(self, faults: list[Fault]) -> None:
        """All of the plan; returns when the last one is over."""
        begin = time.monotonic()
        threads = []
        for fault in faults:
            time.sleep(max(0.0, begin + fault.at_s - time.monotonic()))
            if fault.what == "database crash":
                # Here, since the kernel ends it together with the thread that started it.
                self._run(fault)
                continue
            thread = threading.Thread(target=self._run, args=(fault,), name=fault.what, daemon=True)
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join(patience_s())
        self.database_wire.be_calm()
        self.broker_wire.be_calm()
        self.broker.drain()

    def _run(self, fault: Fault) -> None:
        verb = getattr(self, "_" + fault.what.replace(" ", "_").replace("-", "_"), None)
        dice = Random(fault.seed)
        if fault.what == "broker full" and "fill" not in self.broker.troubles:
            return
        try:
            if verb is not None:
                verb(dice)
            elif fault.what.startswith("cut commits"):
                how = fault.what.rsplit(" ", 1)[1]
                self.database_wire.cut_commits(how, times=dice.randint(4, 16), chance=0.6)  # type: ignore[arg-type]
            self.counts[fault.what] += 1
        except Exception as error:  # noqa: BLE001  # a fault that can't be made is the storm's own
            self.errors.append(f"{fault.what}: {error!r}")

    # --- Processes ---

    def _kill(self, dice: Random) -> None:
        self.crew.kill(dice.choice([*self.crew.roles]))

    def _kill_two(self, dice: Random) -> None:
        for name in dice.sample([*self.crew.roles], 2):
            self.crew.kill(name)

    def _kill_a_shop(self, dice: Random) -> None:
        self.crew.kill(dice.choice(self.shops))

    def _stop(self, dice: Random) -> None:
        program = self.crew.stop(dice.choice([*self.crew.roles]))
        time.sleep(dice.uniform(*STOP_S))
        if program:
            self.crew.go_on(program)

    def _stop_and_kill(self, dice: Random) -> None:
        name = dice.choice([*self.crew.roles])
        program = self.crew.stop(name)
        time.sleep(dice.uniform(*STOP_S))
        if program:
            self.crew.kill(name)

    def _terminate(self, dice: Random) -> None:
        self.crew.terminate(dice.choice([*self.crew.roles]))

    # --- Wires ---

    def _cut_database(self, dice: Random) -> None:
        self.database_wire.cut(dice.choice((0.3, 1.0)))

    def _cut_database_in_mid_byte(self, dice: Random) -> None:
        self.database_wire.cut_in_mid_byte(dice.choice((0.3, 0.7)))

    def _cut_broker(self, dice: Random) -> None:
        self.broker_wire.cut(dice.choice((0.3, 1.0)))

    def _cut_broker_in_mid_byte(self, dice: Random) -> None:
        self.broker_wire.cut_in_mid_byte(dice.choice((0.3, 0.7)))

    def _database_silent(self, dice: Random) -> None:
        self._silence(self.database_wire, dice)

    def _broker_silent(self, dice: Random) -> None:
        self._silence(self.broker_wire, dice)

    def _silence(self, wire: Wire, dice: Random) -> None:
        wire.fall_silent()
        time.sleep(dice.uniform(*SILENCE_S))
        wire.speak(cut=dice.random() < 0.5)

    # --- Servers ---

    def _broker_empty(self, _: Random) -> None:
        with self._broker_lock:
            self.broker.empty()

    def _broker_crash(self, _: Random) -> None:
        with self._broker_lock:
            self.broker.crash()

    def _broker_full(self, dice: Random) -> None:
        with self._broker_lock:
            self.broker.fill()
            time.sleep(dice.uniform(1, 5))
            self.broker.drain()

    def _database_crash(self, _: Random) -> None:
        with self._database_lock:
            self.database.crash()
            self.database.start()

    def _backends_terminated(self, dice: Random) -> None:
        url = self.database.url_of("postgres").replace("+psycopg", "")
        with self._database_lock, psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname LIKE 'test%%' AND application_name <> 'storm' AND random() < %s",
                [dice.choice((0.3, 1.0))],
            )
