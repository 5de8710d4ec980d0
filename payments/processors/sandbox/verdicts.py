"""What one call comes to: the script, read at the n-th call."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.billing.contract.ids import random_id
from payments.processors.outcomes import Found
from payments.processors.sandbox.answers import SERVER_ERROR, Answer, Standing, outcome_of
from payments.processors.sandbox.script import PLAIN, Script


@dataclass(frozen=True, slots=True)
class Verdict:
    """`standing` is what is written into the row of `sandbox_requests`."""

    standing: Standing
    answer: Answer
    tells: bool = False


def _standing(script: Script, *, executed: bool) -> dict[str, Any]:
    return {
        "status": script.status if executed else "open",
        "reference": random_id("sbx_") if executed else None,
        "code": script.code if executed else None,
        "processor_code": script.processor_code if executed else None,
        "turns_to": script.turns_to if executed else None,
        "turns_after_s": script.turns_after_s if executed else None,
        "capture_before": _end_of(script) if executed and script.status == "authorized" else None,
        "captured": 0,
    }


def _end_of(script: Script) -> datetime:
    return datetime.now(UTC) + script.authorized_for


# Nothing was decided yet.
OPEN = Verdict(_standing(PLAIN, executed=False), Answer(None))


def verdict_on(script: Script, *, call: int) -> Verdict:
    """What the n-th call (counted from 1) under a key comes to, when none before was executed."""
    if call <= script.refusals:
        return Verdict(OPEN.standing, Answer(script.refusal))
    standing = _standing(script, executed=True)
    told: Found | None
    match script.answer:
        case "told":
            told = outcome_of(standing)
        case "silence":
            told = None
        case "server_error":
            told = SERVER_ERROR
    return Verdict(standing, Answer(told, script.delay_s), script.tells)
