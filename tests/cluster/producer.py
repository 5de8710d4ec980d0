"""Callers at a steady rate: each wants one thing, under one key, and asks until it is accepted."""

import http.client
import json
import random
import threading
from collections.abc import Mapping
from typing import Any

from tests.cluster import network
from tests.cluster.journal import Journal, Promise, Wish, now
from tests.cluster.programs import HTTP_PORT

# What a caller waits for a connection, and for an answer. Then it asks the next machine.
CONNECT_S, ANSWER_S = 1.0, 5.0
PAUSE_S, PAUSE_MAX_S = 0.5, 4.0


class Producer:
    """Makes wishes until told to stop: of three charges accepted one is refunded, in part."""

    def __init__(self, journal: Journal, api_key: str, *, rate: float, seed: int) -> None:
        self._journal = journal
        self._api_key = api_key
        self._rate = rate
        self._dice = random.Random(seed)
        self._end = threading.Event()
        self._given_up = threading.Event()
        self._callers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)
        self._to_refund: list[tuple[str, int]] = []
        self.refused: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No new wishes. Those who wait for an answer go on asking."""
        self._end.set()
        self._thread.join()

    def give_up(self) -> None:
        """Nobody asks any more."""
        self._end.set()
        self._given_up.set()
        for caller in self._callers:
            caller.join(2 * ANSWER_S)

    def _run(self) -> None:
        number = 0
        next_at = now()
        while not self._end.wait(max(0.0, next_at - now())):
            next_at += 1 / self._rate
            number += 1
            wish = self._wish(number)
            self._journal.write(wish)
            first = self._dice.choice(network.NUMBERS)
            caller = threading.Thread(target=self._ask, args=(wish, first), daemon=True)
            self._callers = [one for one in self._callers if one.is_alive()]
            self._callers.append(caller)
            caller.start()

    def _wish(self, number: int) -> Wish:
        if self._to_refund and number % 4 == 0:
            charge_id, amount = self._to_refund.pop()
            fields: dict[str, Any] = {"charge_id": charge_id, "amount": max(1, amount // 2)}
            return Wish(f"cluster-{number}", "refund", fields, now())
        method = "pm_card_chargeDeclined" if self._dice.random() < 0.1 else "pm_card_visa"
        amount = self._dice.randint(100, 99_999)
        fields = {"amount": amount, "currency": "USD", "payment_method_id": method}
        return Wish(f"cluster-{number}", "charge", fields, now())

    def _ask(self, wish: Wish, machine: int) -> None:
        pause_s = PAUSE_S
        while not self._given_up.is_set():
            status, body = self._post(machine, wish)
            if 200 <= status < 300:
                id_ = str(body[f"{wish.kind}_id"])
                self._journal.write(Promise(wish.key, id_, machine, now()))
                if wish.kind == "charge" and wish.fields["payment_method_id"] == "pm_card_visa":
                    self._to_refund.append((id_, wish.fields["amount"]))
                return
            if 400 <= status < 500 and status != 429:
                self.refused.append(f"{wish.key}: {status} {body}")
                return
            machine = machine % len(network.NUMBERS) + 1
            self._given_up.wait(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(PAUSE_MAX_S, pause_s * 2)

    def _post(self, machine: int, wish: Wish) -> tuple[int, Mapping[str, Any]]:
        """The status and what came with it; 0 when nothing came."""
        link = http.client.HTTPConnection(network.address(machine), HTTP_PORT, timeout=CONNECT_S)
        headers = {
            "Authorization": f"Bearer {self._api_key}",
            "Content-Type": "application/json",
            "Idempotency-Key": wish.key,
        }
        try:
            link.connect()
            link.sock.settimeout(ANSWER_S)
            path = f"/v1/billing/{wish.kind}s"
            link.request("POST", path, json.dumps(wish.fields).encode(), headers)
            answer = link.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            link.close()
