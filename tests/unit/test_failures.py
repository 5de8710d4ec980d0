"""Why something failed, in words: each code has its own sentence, and any other a plain one."""

from infra.billing.contract.failures import DECLINES, FAILURES, Advice, message_for
from payments.processors.advice import BY_CODE, advised
from tests.support.every import every


@every("code, sentence", [*DECLINES.items(), *FAILURES.items()])
def test_each_code_has_its_own_sentence(code: str, sentence: str) -> None:
    assert message_for(code) == sentence
    assert sentence.endswith(".")
    assert sentence != message_for("a code of tomorrow")


def test_no_code_means_two_things() -> None:
    assert not DECLINES.keys() & FAILURES.keys()
    assert len({*DECLINES.values(), *FAILURES.values()}) == len(DECLINES) + len(FAILURES)


def test_every_failure_of_a_charge_has_its_advice() -> None:
    of_refunds = {"refund_declined", "refund_failed", "refund_exceeds_charge", "charge_failed"}
    of_refunds |= {"charge_not_found", "nothing_to_restock", "approval_rejected"}
    assert BY_CODE.keys() == (DECLINES.keys() | FAILURES.keys()) - of_refunds
    for one in (*BY_CODE.values(), advised("a code of tomorrow")):
        assert (one.retry_after is not None) == (one.advice is Advice.RETRY_LATER)
