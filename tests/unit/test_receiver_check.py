"""A good receiver is told that it is good, and a bad one exactly what it does wrong."""

import json
import socket

import pytest

from infra import billing
from infra.billing.contract.ids import is_id
from infra.billing.contract.signatures import new_secret
from infra.billing.receiver_check.cases import CASES, MADE_UP, Kit
from infra.billing.receiver_check.dialing import TargetRefused
from infra.billing.receiver_check.grading import Answer, Report, Tried, diagnose
from infra.billing.receiver_check.receiver_faults import FAULTS, PAGE, Weight
from payments.webhooks.targets.target_port import Limits
from tests.support import planted
from tests.support.every import every
from tests.support.planted import SECRET, Receiver, answering, running
from tests.support.programs import ROOT
from tests.support.waiting import patience_s


def checked(receiver: Receiver, **options) -> Report:
    options = {"answer_s": patience_s(), "pause_s": 0.01, **options}
    with running(receiver) as url:
        return billing.webhook.check(
            url, SECRET, handled=lambda id_: receiver.handled[id_], **options
        )


def codes(report: Report) -> list[str]:
    return [fault.code for fault in report.faults]


def test_a_good_receiver_has_no_fault():
    tried = []
    report = checked(Receiver(), progress=tried.append, pause_s=0.25)
    assert codes(report) == []
    assert (report.grade, report.passed, report.not_tried) == ("A", True, [])
    assert [one.case.name for one in tried] == [case.name for case in CASES]
    assert all(one.passed for one in tried)


@every(
    "receiver, grade, told",
    [
        (planted.NoVerification, "F", ["does_not_verify"]),
        (planted.NothingIsLookedAt, "F", ["does_not_verify"]),
        (planted.AnySignature, "F", ["does_not_verify"]),
        (planted.OnlyIfSigned, "F", ["unsigned_accepted"]),
        (planted.ComparesTheBeginning, "F", ["signature_compared_in_part"]),
        (planted.NoTolerance, "F", ["no_tolerance"]),
        (planted.OnlyTooOldIsRefused, "F", ["no_tolerance"]),
        (planted.VerifiesAfterTheWork, "F", ["handles_forged"]),
        (planted.WritesJsonAgain, "C", ["verifies_rewritten_json"]),
        (planted.RefusesRepeats, "C", ["refuses_repeats", "fails_on_twins"]),
        (planted.HandlesRepeats, "C", ["handles_repeats"]),
        (planted.RefusesOlder, "C", ["refuses_older"]),
        (planted.FirstSignatureOnly, "C", ["first_signature_only"]),
        (planted.OurVersionOnly, "C", ["other_versions_refused"]),
        (planted.RefusesUnknownTypes, "C", ["refuses_unknown_types"]),
        (planted.RefusesBigBodies, "C", ["refuses_big_bodies"]),
        (planted.FailsOnTwins, "B", ["fails_on_twins"]),
        (planted.ParsesFirst, "B", ["parses_first"]),
        (planted.ParsesFirstAndFails, "B", ["parses_first"]),
        (planted.FailsOnForged, "B", ["fails_on_forged"]),
    ],
)
def test_a_bad_receiver_is_told_exactly_its_fault(receiver, grade, told):
    report = checked(receiver())
    # It fails on what is not JSON, before it verifies that; and says so with a 5xx.
    allowed = {"parses_first", "fails_on_forged"} if receiver is planted.WritesJsonAgain else set()
    assert [code for code in codes(report) if code not in allowed] == told
    assert report.grade == grade
    assert report.passed == (grade in "AB")


def test_a_receiver_that_hangs_up_on_a_slow_body_is_told():
    report = checked(planted.Impatient(), pause_s=1.0)
    assert codes(report) == ["impatient"]
    assert report.grade == "B"


@every(
    "status, says",
    [
        (308, "redirects are not followed"),
        (400, "another secret, or verify other bytes"),
        (401, "another secret, or verify other bytes"),
        (403, "wants a token of its own"),
        (404, "nothing is at this path"),
        (405, "takes no POST"),
        (415, "application/json"),
        (422, "before you verified it"),
        (500, "your code fails"),
        (503, "your code fails"),
    ],
)
def test_a_receiver_that_refuses_what_is_right_is_told_why_and_tried_no_further(status, says):
    report = checked(answering(status)())
    (fault,) = report.faults
    assert fault.code == "refuses_valid"
    assert f"right with {status}: " in fault.says
    assert says in fault.says
    assert report.not_tried == [case.name for case in CASES[1:]]
    assert not report.passed


def test_a_receiver_that_never_answers_is_given_up():
    (fault,) = checked(planted.Silent(), answer_s=0.3).faults
    assert "right with timeout: " in fault.says


def test_what_cannot_be_reached_is_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        (fault,) = billing.webhook.check(url, SECRET).faults
    assert "connection_refused: nothing listens there" in fault.says
    (fault,) = billing.webhook.check("http://no-such-host.invalid/", SECRET).faults
    assert "dns_failed" in fault.says


def test_an_address_that_may_not_be_dialled_is_not():
    judged = []

    def guard(address, is_tls):
        judged.append((address, is_tls))
        raise TargetRefused(address)

    receiver = Receiver()
    report = checked(receiver, guard=guard)
    assert "target_not_allowed" in report.faults[0].says
    assert judged == [("127.0.0.1", False)]
    assert not receiver.handled


@every("url", ["", "ftp://x/", "http://", "http://u:p@x/", "http://x:99999/", "http://x/ y", "x"])
def test_a_url_that_is_none_is_the_callers_mistake(url):
    with pytest.raises(billing.InvalidRequest) as refused:
        billing.webhook.check(url, SECRET)
    assert refused.value.param == "url"


def test_a_secret_that_is_none_is_the_callers_mistake():
    with pytest.raises(billing.InvalidRequest) as refused:
        billing.webhook.check("http://127.0.0.1:9/", "secret")
    assert refused.value.param == "secret"


# --- what is sent


def test_everything_that_is_sent_says_that_it_is_made_up():
    kit = Kit(new_secret(), began=1_800_000_000, now=1_800_000_000)
    assert is_id(kit.endpoint_id, "we_")
    for case in CASES:
        for post in case.posts(kit):
            assert "webhook-sequence" not in post.headers  # which would leave a gap in an inbox
            if case.name == "not_json":
                continue
            event = json.loads(post.body)
            assert event["type"] in ("ping", "check.made_up")
            assert event["data"]["description"] == MADE_UP
            assert event["data"]["id"].startswith("we_check")


def test_the_cases_are_what_they_say():
    kit = Kit(SECRET, began=1_800_000_000, now=1_800_000_000)
    for case in CASES:
        for post in case.posts(kit):
            try:
                billing.webhook.verify(post.body, post.headers, SECRET, now=kit.now)
                verified = "accepted"
            except billing.InvalidSignature:
                verified = "refused"
            assert verified == case.expects, case.name


def test_the_service_waits_as_long_as_the_check():
    from infra.billing.receiver_check.check import ANSWER_S

    assert Limits().total_s == ANSWER_S


# --- what is told


def answers(**others: Answer) -> list[Tried]:
    """A good receiver's answers, but for these."""
    good = {"accepted": Answer(204), "refused": Answer(400)}
    return [Tried(case, [others.get(case.name, good[case.expects])]) for case in CASES]


@every(
    "name, code",
    [
        ("tampered_body", "body_not_signed"),
        ("tampered_id", "id_not_signed"),
        ("tampered_timestamp", "timestamp_not_signed"),
        ("tampered_signature", "signature_compared_in_part"),
        ("wrong_secret", "does_not_verify"),
        ("unsigned", "unsigned_accepted"),
        ("stale", "no_tolerance"),
        ("future", "no_tolerance"),
    ],
)
def test_each_forged_webhook_that_is_accepted_is_a_fault_of_its_own(name, code):
    (fault,) = diagnose(answers(**{name: Answer(200)}), answer_s=15)
    assert (fault.code, fault.weight) == (code, Weight.FORGEABLE)


@pytest.mark.parametrize(("seconds", "told"), [(5.0, []), (5.1, ["slow"])])
def test_more_than_a_third_of_the_time_is_slow(seconds, told):
    faults = diagnose(answers(valid=Answer(200, None, seconds)), answer_s=15)
    assert [fault.code for fault in faults] == told


def test_the_worst_is_told_first():
    given = {"twins": Answer(500), "repeat": Answer(500), "stale": Answer(200)}
    weights = [fault.weight for fault in diagnose(answers(**given), answer_s=15)]
    assert weights == [Weight.FORGEABLE, Weight.LOSES, Weight.ADVICE]


@every("fault", FAULTS.values(), ids=lambda fault: fault.code)
def test_each_fault_has_its_fix_and_the_page(fault):
    assert fault.says.startswith(("You ", "Of an event "))
    assert fault.fix.endswith(f". See {PAGE}.")
    assert len(fault.fix) > len(f" See {PAGE}.") + 20
    assert (ROOT / PAGE).exists()
