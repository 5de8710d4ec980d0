"""Why something failed, in words: each code has its own sentence, and any other a plain one."""

from infra.billing.contract.failures import DECLINES, FAILURES, message_for
from tests.support.every import every


@every("code, sentence", [*DECLINES.items(), *FAILURES.items()])
def test_each_code_has_its_own_sentence(code: str, sentence: str) -> None:
    assert message_for(code) == sentence
    assert sentence.endswith(".")
    assert sentence != message_for("a code of tomorrow")


def test_no_code_means_two_things() -> None:
    assert not DECLINES.keys() & FAILURES.keys()
    assert len({*DECLINES.values(), *FAILURES.values()}) == len(DECLINES) + len(FAILURES)
