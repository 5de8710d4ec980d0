"""What the payment methods of the sandbox mean, without a database."""

import re
from pathlib import Path

import pytest

from infra.billing.contract.failures import DECLINES
from payments.processors.outcomes import Succeeded, Unavailable
from payments.processors.sandbox import sandbox_scripts
from payments.processors.sandbox.sandbox_scripts import PLAIN, script_for
from payments.processors.sandbox.verdicts import verdict_on
from tests.support.every import every

DECLINED = {
    "pm_card_chargeDeclined": "card_declined",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_chargeDeclinedLostCard": "lost_card",
    "pm_card_chargeDeclinedStolenCard": "stolen_card",
    "pm_card_chargeDeclinedExpiredCard": "expired_card",
    "pm_card_chargeDeclinedIncorrectCvc": "incorrect_cvc",
    "pm_card_chargeDeclinedProcessingError": "processing_error",
}


@every(
    "method",
    [None, "", "pm_card_visa", "pm_card_mastercard", "pm_1OqZ", "pm_sandbox_", "pm_sandbox_typo"],
)
def test_whatever_has_no_script_is_a_card_that_works(method: str | None) -> None:
    assert script_for(method) == PLAIN


@every("method, code", DECLINED.items())
def test_a_declining_card_says_why_in_its_name(method: str, code: str) -> None:
    declined = script_for(method)
    assert (declined.status, declined.code) == ("declined", code)


def test_every_decline_has_a_sentence() -> None:
    scripts = [
        *sandbox_scripts.CARDS.values(),
        *sandbox_scripts.FAULTS.values(),
        *sandbox_scripts.REFUND_FAULTS.values(),
    ]
    codes = {one.code for one in scripts if one.code} | {
        ours for ours, _ in sandbox_scripts.TURNED_DOWN.values()
    }
    assert codes <= set(DECLINES)


def test_the_number_in_unavailable_says_how_often() -> None:
    refused_twice = script_for("pm_sandbox_unavailable_2")
    answers = [verdict_on(refused_twice, call=call).answer.outcome for call in (1, 2, 3)]
    assert answers[:2] == [Unavailable("service_unavailable")] * 2
    assert isinstance(answers[2], Succeeded)


def test_the_number_in_slow_is_milliseconds() -> None:
    assert script_for("pm_sandbox_slow_2000").delay_s == 2.0


@pytest.mark.parametrize("method", ["pm_sandbox_slow_", "pm_sandbox_slow_x", "pm_sandbox_slow_-5"])
def test_a_number_that_is_none_is_an_unknown_method(method: str) -> None:
    assert script_for(method) == PLAIN


def test_a_lost_charge_never_arrives() -> None:
    lost = script_for("pm_sandbox_lost")
    for call in (1, 2, 100, 10**6):
        verdict = verdict_on(lost, call=call)
        assert verdict.standing.status == "open"
        assert verdict.answer.outcome is None


@every("fault", [*sandbox_scripts.FAULTS, "unavailable_2", "slow_2000"])
def test_every_fault_of_a_charge_can_be_had_for_its_refunds(fault: str) -> None:
    charge = script_for(f"pm_sandbox_refund_{fault}")
    assert (charge.status, charge.answer, charge.refusals) == ("succeeded", "told", 0)
    assert charge.refunds == script_for(f"pm_sandbox_{fault}")


def test_only_refunds_turn_bad_after_they_were_good() -> None:
    turned = {
        name for name, one in sandbox_scripts.REFUND_FAULTS.items() if one.turns_to == "declined"
    }
    assert turned == {"fails_later"}
    assert all(one.turns_to != "declined" for one in sandbox_scripts.FAULTS.values())


def test_the_page_about_the_sandbox_names_every_payment_method() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "sandbox.md").read_text()
    scripted = {
        *(f"pm_card_{name}" for name in sandbox_scripts.CARDS),
        *(f"pm_sandbox_{name}" for name in sandbox_scripts.FAULTS),
        *(f"pm_sandbox_refund_{name}" for name in sandbox_scripts.REFUND_FAULTS),
        *(f"pm_sandbox_{name}" for name in ("unavailable_2", "slow_2000", "authorized_for_60")),
        *(f"pm_sandbox_capture_{name}" for name in sandbox_scripts.CAPTURE_FAULTS),
        *(f"pm_sandbox_cancel_{name}" for name in sandbox_scripts.CANCEL_FAULTS),
        *(f"pm_sandbox_cancel_{name}" for name in ("timeout_after", "timeout_before")),
        *("pm_card_visa", "pm_card_mastercard"),
    }
    in_tables = {
        method
        for line in page.splitlines()
        if line.startswith("|")
        for method in re.findall(r"`(pm_\w+)`", line)
    }
    assert in_tables == scripted
