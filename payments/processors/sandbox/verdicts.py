"""The result of one call: the script at the n-th call."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from infra.billing.contract.ids import random_id
from models.rows import SandboxRequestRow, changed
from payments.processors.outcomes import Found
from payments.processors.sandbox.sandbox_answers import SERVER_ERROR, Answer, outcome_of
from payments.processors.sandbox.sandbox_scripts import Script


@dataclass(frozen=True, slots=True)
class Decision:
    """What is written into the row of `sandbox_requests`; by default, nothing is decided."""

    status: str = "open"
    reference: str | None = None
    code: str | None = None
    processor_code: str | None = None
    turns_to: str | None = None
    turns_after_s: float | None = None
    capture_before: datetime | None = None
    captured: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    standing: Decision
    answer: Answer
    tells: bool = False


def _executed(script: Script) -> Decision:
    return Decision(
        status=script.status,
        reference=random_id("sbx_"),
        code=script.code,
        processor_code=script.processor_code,
        turns_to=script.turns_to,
        turns_after_s=script.turns_after_s,
        capture_before=_end_of(script) if script.status == "authorized" else None,
    )


def _end_of(script: Script) -> datetime:
    return datetime.now(UTC) + script.authorized_for


def decided(row: SandboxRequestRow, standing: Decision) -> SandboxRequestRow:
    """The row after this is written."""
    columns = asdict(standing)
    del columns["turns_after_s"]  # which the database adds to its present time
    return changed(row, **columns)


# Nothing was decided yet.
OPEN = Verdict(Decision(), Answer(None))


def verdict_on(script: Script, *, call: int) -> Verdict:
    """The result of the n-th call (counted from 1) under a key, if none before was executed."""
    if call <= script.refusals:
        return Verdict(OPEN.standing, Answer(script.refusal))
    standing = _executed(script)
    found: Found | None
    match script.answer:
        case "told":
            found = outcome_of(standing)
        case "silence":
            found = None
        case "server_error":
            found = SERVER_ERROR
    return Verdict(standing, Answer(found, script.delay_s), script.tells)
