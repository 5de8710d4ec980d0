"""The figures of a demo: the requests, their results, and whether they add up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from infra.billing.contract.money import exponent


@dataclass(frozen=True, slots=True)
class Check:
    """One condition; `wrong` are the cases that violate it."""

    what: str
    wrong: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        return not self.wrong


@dataclass(frozen=True, slots=True)
class Money:
    """What moved in one currency, in minor units: by our tables, and by the sandbox's ledger."""

    currency: str
    charged: int
    charged_ledger: int
    refunded: int
    # Refunds that came back are taken off.
    refunded_ledger: int

    @property
    def agrees(self) -> bool:
        return (self.charged, self.refunded) == (self.charged_ledger, self.refunded_ledger)


@dataclass(frozen=True, slots=True)
class Stock:
    """Units of one price: what was there, was sold, came back, and is left by our tables."""

    item: str
    initial: int
    sold: int
    back: int
    left: int
    # What is left by the file.
    expected: int

    @property
    def agrees(self) -> bool:
        return self.left == self.expected == self.initial - self.sold + self.back


@dataclass(frozen=True, slots=True)
class Kill:
    """The worker that was killed. Seconds count from the kill; None = it didn't happen."""

    # Requests that it was working on, and those of them whose leases others took over.
    in_flight: int
    taken_over: int
    restarted_after_s: float | None
    settled_after_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that the report tells."""

    requests: Mapping[str, int]
    endings: Mapping[str, int]
    money: Sequence[Money]
    stock: Sequence[Stock]
    webhooks: Mapping[str, int]
    kill: Kill | None
    asked_again: int
    checks: Sequence[Check]
    seconds: float

    @property
    def add_up(self) -> bool:
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {
            "adds_up": self.add_up,
            "seconds": round(self.seconds, 1),
            "requests": dict(self.requests),
            "endings": dict(self.endings),
            "money": [
                {
                    "currency": one.currency,
                    "charged": {"tables": one.charged, "ledger": one.charged_ledger},
                    "refunded": {"tables": one.refunded, "ledger": one.refunded_ledger},
                    "agrees": one.agrees,
                }
                for one in self.money
            ],
            "stock": [{**asdict(one), "agrees": one.agrees} for one in self.stock],
            "webhooks": dict(self.webhooks),
            "kill": self.kill
            and {
                "in_flight": self.kill.in_flight,
                "taken_over": self.kill.taken_over,
                "restarted_after_s": _rounded(self.kill.restarted_after_s),
                "settled_after_s": _rounded(self.kill.settled_after_s),
            },
            "asked_again": self.asked_again,
            "checks": [
                {"what": check.what, "passed": check.passed, "wrong": list(check.wrong)}
                for check in self.checks
            ],
        }


def decimal(amount: int, currency: str) -> str:
    """Minor units as people write them: 1234567 KWD → 1,234.567."""
    decimals = exponent(currency)
    return f"{amount / 10**decimals:,.{decimals}f}"


def counted(words: Sequence[str]) -> dict[str, int]:
    """How often each occurs, the most frequent first."""
    return dict(Counter(words).most_common())


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
