"""The sequence of the demo: shops open, a worker is killed, and every request ends as expected."""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import TextIO

from sqlalchemy import Engine

from infra.billing.contract.event_types import TYPES
from infra.billing.contract.requests.price_request import PriceRequest
from infra.billing.contract.requests.product_request import ProductRequest
from local.demo import demo_checks, environment, observer
from local.demo.clients import Shops
from local.demo.figures import Figures, Kill, counted
from local.demo.observer import IN_DOUBT, Sight
from local.demo.receiver import Inbox, receiver
from local.demo.scenario import PRODUCER, Scenario
from local.demo.screen import Screen
from models.states import Phase
from payments.access.vault import Vault
from payments.acting import person
from payments.catalog import currencies, prices, products
from payments.parsing import parse
from payments.processors import sandbox
from payments.processors.registry import Processors
from payments.processors.statements import statements_of
from payments.transaction import Database
from payments.webhooks import endpoints
from payments.webhooks.target import TargetCheck
from service.wiring import open_database

LOOK_S = 0.2
# After the doors open; on two busy cores all is over in 45 s.
DEADLINE_S = 75.0
LOOPBACK = (ip_network("127.0.0.0/8"),)


# The actor who sets up prices and the endpoint.
DEMO = person("billing demo")


def play(scenario: Scenario, screen: Screen, log_file: TextIO | None = None) -> Figures:
    """Run it from the first server to the final sums; returns the figures.

    `log_file` gets the output of the processes. Raises StageError or EmbeddedError if the servers
    or processes can't be started.
    """
    screen.say(
        f"a shopping day in a minute: {_shops(scenario)}, {scenario.requests} requests to "
        "charge or refund"
    )
    screen.say("starting PostgreSQL and Redis in a temporary folder")
    with environment.prepared(log_file) as set_up, receiver() as (url, inbox):
        engine = open_database(set_up.database_url)
        try:
            inbox.secret = _subscribe(engine, url, Vault([set_up.encryption_key]))
            _put_up_for_sale(engine, scenario)
            screen.say("tables are made; starting worker, webhooks and beat")
            set_up.start()
            play = Play(scenario, screen, set_up, engine, inbox)
            try:
                play.run()
            finally:
                play.shops.close()
            screen.clear()
            screen.say("comparing tables, ledger and what the receiver heard")
            figures = play.figures()
            if "open" in figures.endings:
                screen.say(f"what the processes said last:\n{set_up.last_words()}")
            screen.say("stopping everything; nothing is left behind")
        except (KeyboardInterrupt, SystemExit):
            screen.clear()
            screen.say("interrupted; stopping everything, nothing is left behind")
            raise
        finally:
            engine.dispose()
    return replace(figures, seconds=screen.seconds)


@dataclass
class _Killing:
    """The killed worker."""

    at: float
    orphans: Collection[str]
    restarted_at: float | None = None
    settled_at: float | None = None


class Play:
    """Everything between the first request and the last webhook."""

    def __init__(
        self,
        scenario: Scenario,
        screen: Screen,
        set_up: environment.Stage,
        engine: Engine,
        inbox: Inbox,
    ) -> None:
        self._scenario = scenario
        self._screen = screen
        self._stage = set_up
        self._engine = engine
        self._statements = statements_of(Processors(sandbox.Sandbox(engine)))
        self._inbox = inbox
        self._sight = Sight()
        self._killing: _Killing | None = None
        self._has_explained = False
        self._at_once = {line.object_id for line in scenario.lines if line.at_once}
        self._asked_to_act = {line.object_id: line.then for line in scenario.lines if line.then}
        self.shops = Shops(scenario, broker_url=set_up.broker_url, sight=lambda: self._sight)

    def run(self) -> None:
        """Until all is over, or the deadline has passed."""
        deadline = time.monotonic() + DEADLINE_S
        self._screen.say(f"all are ready: {_shops(self._scenario)} open")
        self.shops.open()
        while True:
            self._sight = observer.look(self._engine)
            self._let_customers_act()
            self._kill_in_the_middle()
            self._watch_the_recovery()
            done = self._show()
            if self.shops.error:
                raise self.shops.error
            if done == self._scenario.requests and not self._sight.undelivered:
                return
            if time.monotonic() > deadline:
                self._screen.say(f"not all is over after {DEADLINE_S:g} s", style="red")
                return
            time.sleep(LOOK_S)

    def figures(self) -> Figures:
        """The results."""
        lines, sight = self._scenario.lines, self._sight
        with self._engine.connect() as connection:
            money = demo_checks.money(connection, self._statements)
            stock = demo_checks.stock(connection, self._scenario)
            kill = self._kill(demo_checks.taken_over(connection))
        return Figures(
            requests={
                "charges": sum(one.do == "charge" and one.makes_object for one in lines),
                "refunds": sum(one.do == "refund" and one.makes_object for one in lines),
                "repeats": sum(one.times for one in lines if one.do == "repeat"),
                "conflicts": sum(one.ending == "rejected" and one.do != "message" for one in lines),
                "bad_messages": sum(one.do == "message" for one in lines),
                "stopped_by_the_sdk": sum(one.ending == "unsent" for one in lines),
            },
            endings=counted(
                [self.shops.ending_of(line) or "open" for line in lines if line.do != "repeat"]
            ),
            money=money,
            stock=stock,
            webhooks={
                "events": len(self._inbox.came),
                "verified": self._inbox.verified,
                "forged": self._inbox.forged,
                "refused_once": len(self._inbox.failed),
                "repeated": self._inbox.repeated,
            },
            kill=kill,
            asked_again=len(self.shops.asked_again),
            checks=demo_checks.checks(
                self._engine,
                statements=self._statements,
                scenario=self._scenario,
                shops=self.shops,
                sight=sight,
                inbox=self._inbox,
                kill=kill,
            ),
            seconds=self._screen.seconds,
        )

    def _let_customers_act(self) -> None:
        for id_, then in list(self._asked_to_act.items()):
            standing = self._sight.objects.get(id_)
            if standing is None or standing.phase != Phase.AWAITING_CUSTOMER:
                continue
            with self._engine.begin() as connection:
                (sandbox.complete if then == "confirms" else sandbox.decline)(connection, id_)
            del self._asked_to_act[id_]

    def _kill_in_the_middle(self) -> None:
        """Kill the worker as soon as half of the slow charges are under way."""
        if self._killing is not None:
            return
        in_flight = {
            id_ for id_, one in self._sight.objects.items() if one.phase == Phase.IN_FLIGHT
        }
        slow = in_flight & self._at_once if self._at_once else in_flight
        if len(slow) < max(1, len(self._at_once) // 2):
            return
        self._stage.kill("worker")
        self._killing = _Killing(time.monotonic(), in_flight)
        self._screen.say(
            f"killed the worker with kill -9: {len(in_flight)} requests were under way",
            style="bold red",
        )

    def _watch_the_recovery(self) -> None:
        killing = self._killing
        if killing is None:
            return
        if killing.restarted_at is None:
            readies = [at for at in self._stage.readies["worker"] if at > killing.at]
            if readies:
                killing.restarted_at = readies[0]
                after_s = readies[0] - killing.at
                self._screen.say(f"the supervisor's next worker is ready, {after_s:.1f} s later")
        if killing.settled_at is None and all(
            self._sight.objects[id_].is_final for id_ in killing.orphans
        ):
            killing.settled_at = time.monotonic()
            self._screen.say(
                "what it had under way is settled; the processor was asked first",
                style="green",
            )

    def _kill(self, taken_over: int) -> Kill | None:
        killing = self._killing
        if killing is None:
            return None
        return Kill(
            len(killing.orphans),
            taken_over,
            killing.restarted_at and killing.restarted_at - killing.at,
            killing.settled_at and killing.settled_at - killing.at,
        )

    def _show(self) -> int:
        """Tell how far it is; returns how many requests are over."""
        lines, sight = self._scenario.lines, self._sight
        over = [line for line in lines if self.shops.is_over(line)]
        done = sum(line.times for line in over)
        notes = [
            f"{count} {what}"
            for count, what in (
                (sight.count(Phase.IN_FLIGHT), "under way"),
                (sight.count(*IN_DOUBT), "in doubt"),
                (sight.undelivered, "webhooks due"),
            )
            if count
        ]
        if len(over) < len(lines) and not self._has_explained:
            left = [line for line in lines if line not in over]
            if all(line.ending == "needs_review" for line in left):
                self._has_explained = True
                self._screen.say(
                    "one is left that the processor never answers: a person will decide"
                )
        self._screen.progress(done, self._scenario.requests, ", ".join(notes))
        return done


def _put_up_for_sale(engine: Engine, scenario: Scenario) -> None:
    """Create a product and a price for everything with a limited stock."""
    for price in scenario.prices.values():
        named = {"idempotency_key": price.key, "producer": PRODUCER}
        product = parse(ProductRequest, {"name": price.item, **named})
        request = {
            "product_id": product.id,
            "currency_id": currencies.id_of(price.currency),
            "unit_amount": price.unit_amount,
            "lookup_key": price.key,
            "quantity_available": price.stock,
            **named,
        }
        with Database(engine, acting=DEMO).transaction() as transaction:
            products.create(transaction, product, livemode=False)
            prices.create(transaction, parse(PriceRequest, request), livemode=False)


def _shops(scenario: Scenario) -> str:
    count = len(scenario.shops)
    return "1 shop" if count == 1 else f"{count} shops"


def _subscribe(engine: Engine, url: str, vault: Vault) -> str:
    """Add the receiver as an endpoint for all events; returns its secret."""
    with Database(engine, acting=DEMO).transaction() as transaction:
        _, secret = endpoints.add(
            transaction,
            url=url,
            target_check=TargetCheck(LOOPBACK),
            vault=vault,
            event_types=list(TYPES),
            description="the demo's receiver",
        )
    return secret
