"""A producer: a process that asks for charges and refunds through one door, and may be killed.

What it asks for is decided by its seed and the number of the request, so that a seed asks for the
same again. What is not answered is asked again under the same key: that is all that a producer has
to know. The journal is its memory: started again, it goes on where it was.

The storm's phases are files in its folder: the shop opens, waits for `storm`, is a customer like
any other until `calm`, and then insists until everything is answered.

    python -m tests.storm.shop '{"name": "shop-http", "door": "http", …}'
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.storm import journal
from tests.storm.doors import Answer, Door, Http, Message, Sdk
from tests.storm.names import id_of

METHODS = {
    "pm_card_visa": 40,
    "pm_card_chargeDeclined": 4,
    "pm_card_chargeDeclinedInsufficientFunds": 4,
    "pm_sandbox_timeout_after": 5,
    "pm_sandbox_error_after": 4,
    "pm_sandbox_timeout_before": 4,
    "pm_sandbox_unavailable_2": 4,
    "pm_sandbox_rate_limited": 3,
    "pm_sandbox_slow_700": 4,
    "pm_sandbox_requires_action": 4,
    "pm_sandbox_late_success": 4,
    "pm_sandbox_event_first": 2,
    "pm_sandbox_lost": 2,
    "pm_sandbox_refund_fails": 3,
    "pm_sandbox_refund_fails_later": 4,
    "pm_sandbox_refund_timeout_after": 4,
    "pm_sandbox_refund_timeout_before": 3,
    "pm_sandbox_refund_late_success": 3,
}
# Of charges that somebody captures: what befalls them, their captures, and the wait for one.
BY_HAND = {
    "pm_card_visa": 6,
    "pm_sandbox_timeout_after": 1,
    "pm_sandbox_timeout_before": 1,
    "pm_sandbox_capture_timeout_after": 2,
    "pm_sandbox_capture_timeout_before": 2,
    "pm_sandbox_capture_error_after": 2,
    "pm_sandbox_capture_unavailable_1": 1,
    "pm_sandbox_capture_fails": 1,
    "pm_sandbox_authorized_for_4": 2,
}
AMOUNTS = {"USD": (100, 50_000), "EUR": (100, 90_000), "JPY": (50, 9_000), "KWD": (1_000, 90_000)}
OPENING = 13  # requests that every shop makes before the storm: one of each kind


@dataclass
class Wish:
    """One request under one key, and whether the last word on it was heard."""

    kind: str
    key: str
    fields: dict[str, Any]
    bad: bool = False  # is refused by every right service
    settled: bool = False
    there: bool = False  # somebody has said so


class Shop:
    """Asks, repeats, refunds and reads, until told to stop."""

    def __init__(self, wishes: dict[str, Any]) -> None:
        self.name: str = wishes["name"]
        self.folder = Path(wishes["folder"])
        self.pause_s: float = wishes["pause_s"]
        self.prices: list[dict[str, Any]] = wishes["prices"]
        self.journal = journal.Journal(self.folder / "journal", self.name)
        self.http = Http(wishes["url"], wishes["api_key"], self.journal, self.name)
        self.door: Door = self.http
        match wishes["door"]:
            case "sdk":
                self.door = Sdk(wishes["url"], wishes["api_key"], self.journal, self.name)
            case "sdk-broker":
                self.door = Sdk(wishes["broker_url"], "", self.journal, self.name)
            case "message":
                self.door = Message(wishes["broker_url"], self.journal, self.name)
        self.seed = f"{wishes['seed']} {self.name}"
        self.dice = Random(self.seed)
        self.wishes: dict[str, Wish] = {}
        self.number = 0
        self._remember()

    def run(self) -> None:
        if not self._phase("storm"):
            while self.number < OPENING:
                self.open()
            self._insist()
            self._say("opened")
            while not self._phase("storm"):
                time.sleep(0.05)
        while not self._phase("calm"):
            self.act()
            time.sleep(self.dice.expovariate(1 / self.pause_s))
        if not self.door.answers:
            for wish in self.wishes.values():
                # What may be refused was sent once and left to its luck: now it counts.
                wish.settled = wish.settled and not self._may_be_refused(wish)
        self._insist()
        self._say("done")

    # --- What it does ---

    def open(self) -> None:
        """A request of each kind, so that every run has something of everything."""
        first = ["pm_card_visa"] * 4 + ["pm_card_chargeDeclined", "pm_sandbox_timeout_after"]
        step = self.number
        if step < len(first):
            self._ask(self._charge(method=first[step]))
        elif step == 6:
            self._ask(self._charge(by_price=True))
        elif step == 7:
            self._repeat(self._known("charge")[0])
        elif step == 8:
            self._ask(self._refund(self._known("charge")[0], share=0.4))
        elif step == 9:
            self._ask(self._refund(self._known("charge")[1], share=1.0))
        elif step == 10:
            self._ask(self._bad())
        elif step == 11:
            self._ask(self._charge(method="pm_card_visa", by_hand=True))
        else:
            self._insist()
            self._reuse_key(self._known("charge")[2])
        self.number = max(self.number, step + 1)

    def act(self) -> None:
        """One thing that customers and their software do."""
        known, roll = self._known("charge"), self.dice.random()
        # A refund of what was never there waits ten minutes for it: longer than a storm's calm.
        refundable = [w for w in known if w.there or not self._may_be_refused(w)]
        if roll < 0.30 or not known:
            self._ask(self._charge())
        elif roll < 0.38:
            self._ask(self._charge(by_hand=True))
        elif roll < 0.50 and self.prices:
            self._ask(self._charge(by_price=True))
        elif roll < 0.66 and refundable:
            charge = self.dice.choice(refundable)
            self._ask(self._refund(charge, share=self.dice.choice((0.3, 0.5, 1.0, 1.0, None))))
        elif roll < 0.78:
            self._repeat(self.dice.choice([*self.wishes.values()]))
        elif roll < 0.82:
            self._reuse_key(self.dice.choice(known))
        elif roll < 0.85:
            self._ask(self._bad())
        elif roll < 0.95:
            self._read(self.dice.choice([*self.wishes.values()]))
        else:
            self.http.ask("GET", "/charges", did="list", query={"limit": 20})

    def _ask(self, wish: Wish) -> Answer:
        self.wishes[wish.key] = wish
        answer = self.door.create(wish.kind, wish.key, wish.fields)
        self._learn(wish, answer)
        return answer

    def _repeat(self, wish: Wish) -> None:
        self._learn(wish, self.door.create(wish.kind, wish.key, wish.fields))

    def _reuse_key(self, wish: Wish) -> None:
        """Another request under a key whose first one is surely there: refused, and no harm."""
        if not wish.settled or wish.bad:
            return
        self.door.create(wish.kind, wish.key, {**wish.fields, "description": "another one"})

    def _read(self, wish: Wish) -> Answer:
        return self.http.read(wish.kind, self._id(wish))

    def _insist(self) -> None:
        """Ask until each wish has its last word."""
        while open_ones := [wish for wish in self.wishes.values() if not wish.settled]:
            for wish in open_ones:
                if self.door.answers or not self._is_there(wish):
                    self._repeat(wish)
            # A message has no answer: whether it arrived is to be seen.
            time.sleep(0.0 if self.door.answers else 0.7)

    def _is_there(self, wish: Wish) -> bool:
        wish.there = wish.there or self._read(wish).accepted
        wish.settled = wish.settled or wish.there
        return wish.there

    def _learn(self, wish: Wish, answer: Answer) -> None:
        if self.door.answers:
            wish.there = wish.there or answer.accepted
            wish.settled = wish.settled or answer.accepted or answer.refused
        elif self._may_be_refused(wish):
            # A refusal by message is told by webhook only, so there is nothing to look for.
            wish.settled = wish.settled or answer.accepted or answer.code == "invalid_request"

    # --- What it wishes for ---

    def _next(self, kind: str) -> tuple[str, Random]:
        self.number += 1
        return f"{self.name}-{kind[0]}{self.number}", Random(f"{self.seed} {self.number}")

    def _charge(
        self, *, method: str | None = None, by_price: bool = False, by_hand: bool = False
    ) -> Wish:
        key, dice = self._next("charge")
        methods = BY_HAND if by_hand else METHODS
        fields: dict[str, Any] = {
            "payment_method_id": method or dice.choices([*methods], [*methods.values()])[0],
            "customer_id": f"cus_{dice.randrange(20)}",
        }
        if by_hand:
            fields["capture"] = "manual"
        if by_price:
            price = dice.choice(self.prices)
            fields |= {"price_id": price["id"], "quantity": dice.randint(1, 3)}
        else:
            currency = dice.choice([*AMOUNTS])
            low, high = AMOUNTS[currency]
            amount = dice.randrange(low // 10, high // 10) * 10
            fields |= {"amount": amount, "currency": currency}
        if dice.random() < 0.3:
            fields["reference"] = f"{self.name}-order-{self.number}"
        if dice.random() < 0.3:
            fields["description"] = dice.choice(("Tea, für „zwei“ 🎉", "a b", "x" * 200))
        if dice.random() < 0.3:
            fields["metadata"] = {"n": str(self.number), "é": "ü"}
        return Wish("charge", key, fields)

    def _refund(self, charge: Wish, *, share: float | None) -> Wish:
        key, _ = self._next("refund")
        fields: dict[str, Any] = {"charge_id": self._id(charge)}
        if share is not None and (amount := charge.fields.get("amount")):
            fields["amount"] = max(10, int(amount * share) // 10 * 10)
        if "price_id" in charge.fields and self.dice.random() < 0.5:
            fields["restock"] = True
        return Wish("refund", key, fields)

    def _bad(self) -> Wish:
        """A request that no right service takes; the SDK refuses most by itself."""
        key, _ = self._next("charge")
        if isinstance(self.door, Sdk):
            return Wish("charge", key, {"amount": -5, "currency": "USD"}, bad=True, settled=True)
        return Wish("charge", key, {"amount": 19.99, "currency": "USD"}, bad=True)

    def _may_be_refused(self, wish: Wish) -> bool:
        return wish.bad or wish.kind == "refund" or "price_id" in wish.fields

    def _known(self, kind: str) -> list[Wish]:
        return [w for w in self.wishes.values() if w.kind == kind and not w.bad]

    def _id(self, wish: Wish) -> str:
        return id_of(wish.kind, producer=self.name, key=wish.key)

    # --- Its memory and its master ---

    def _remember(self) -> None:
        """Whatever a predecessor asked for is ours to insist on."""
        for one in journal.read(self.folder / "journal"):
            if one.actor != self.name or "key" not in one.asked:
                continue
            key = one.asked["key"]
            if key in self.wishes:
                continue
            bad = one.asked["fields"].get("amount") in (19.99, -5)
            kind = one.asked.get("kind", one.did)
            self.wishes[key] = Wish(kind, key, one.asked["fields"], bad=bad, settled=bad)
            self.number = max(self.number, int(key.rsplit("-", 1)[1][1:]))

    def _phase(self, name: str) -> bool:
        return (self.folder / name).exists()

    def _say(self, what: str) -> None:
        (self.folder / f"{self.name}.{what}").touch()


if __name__ == "__main__":
    Shop(json.loads(sys.argv[1])).run()
