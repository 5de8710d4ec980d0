"""The result of a receiver's answers: its faults, and a grade."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.billing.receiver_check.cases import CASES, FORGED, Case
from infra.billing.receiver_check.receiver_faults import FAULTS, Fault, Weight, refuses_valid

SLOW = 1 / 3  # of the time for which the service waits

Grade = Literal["A", "B", "C", "F"]
MEANS: Mapping[Grade, str] = {
    "A": "it does everything right",
    "B": "it does everything that it must",
    "C": "webhooks will come again and again, or get lost",
    "F": "it does not verify what it must",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, or the word that says why there is none; and the seconds that it took."""

    status: int | None
    error: str | None = None
    seconds: float = 0.0

    @property
    def is_ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        return str(self.status or self.error)


@dataclass(frozen=True, slots=True)
class Tried:
    """A case, and how each of its posts was answered."""

    case: Case
    answers: Sequence[Answer]
    event_ids: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        if self.case.expects == "accepted":
            return all(answer.is_ok for answer in self.answers)
        return not any(answer.is_ok for answer in self.answers)

    @property
    def answered(self) -> str:
        return ", ".join(map(str, self.answers))


@dataclass(frozen=True, slots=True)
class Report:
    """The result for a receiver. `not_tried` are the cases that can't be judged for a receiver that
    refuses everything."""

    url: str
    tried: Sequence[Tried]
    faults: Sequence[Fault]

    @property
    def passed(self) -> bool:
        return all(fault.weight <= Weight.ADVICE for fault in self.faults)

    @property
    def grade(self) -> Grade:
        worst = max((fault.weight for fault in self.faults), default=0)
        return {0: "A", Weight.ADVICE: "B", Weight.LOSES: "C"}.get(worst, "F")  # type: ignore[return-value]

    @property
    def means(self) -> str:
        return MEANS[self.grade]

    @property
    def not_tried(self) -> list[str]:
        tried = {one.case.name for one in self.tried}
        return [case.name for case in CASES if case.name not in tried]

    def view(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "url": self.url,
            "passed": self.passed,
            "grade": self.grade,
            "means": self.means,
            "cases": [
                {
                    "name": one.case.name,
                    "title": one.case.title,
                    "expects": one.case.expects,
                    "answered": [answer.status or answer.error for answer in one.answers],
                    "seconds": round(max(answer.seconds for answer in one.answers), 3),
                    "passed": one.passed,
                }
                for one in self.tried
            ],
            "not_tried": self.not_tried,
            "faults": [
                {
                    "code": fault.code,
                    "weight": fault.weight.name.lower(),
                    "says": fault.says,
                    "fix": fault.fix,
                }
                for fault in self.faults
            ],
        }


def diagnose(
    tried: Sequence[Tried], *, answer_s: float, handled: Mapping[str, int] | None = None
) -> list[Fault]:
    """The faults that explain the answers within `answer_s`; each once, the worst first.

    `handled` says how often each event was handled, if that is known.
    """
    by_name = {one.case.name: one for one in tried}
    valid = by_name["valid"]
    if not valid.passed:
        return [refuses_valid(str(valid.answers[0]))]
    codes = [
        *_of_forged(by_name),
        *(
            _IF_REFUSED[one.case.name]
            for one in tried
            if not one.passed and one.case.name in _IF_REFUSED
        ),
        *_of_what_was_handled(by_name, handled or {}),
        *_of_manners(by_name, slow_s=SLOW * answer_s),
    ]
    return sorted((FAULTS[code] for code in dict.fromkeys(codes)), key=lambda f: -f.weight)


_IF_REFUSED = {
    "exact_bytes": "verifies_rewritten_json",
    "repeat": "refuses_repeats",
    "reordered": "refuses_older",
    "rotated": "first_signature_only",
    "other_version": "other_versions_refused",
    "unknown_type": "refuses_unknown_types",
    "big": "refuses_big_bodies",
    "slow_body": "impatient",
    "twins": "fails_on_twins",
}
_IF_ACCEPTED = {
    "tampered_body": "body_not_signed",
    "tampered_id": "id_not_signed",
    "tampered_timestamp": "timestamp_not_signed",
    "tampered_signature": "signature_compared_in_part",
    "unsigned": "unsigned_accepted",
    "stale": "no_tolerance",
    "future": "no_tolerance",
}


def _of_forged(tried: Mapping[str, Tried]) -> list[str]:
    accepted = {name for name in FORGED if name in tried and not tried[name].passed}
    if "wrong_secret" in accepted:
        return ["does_not_verify"]  # which explains all the others
    return [code for name, code in _IF_ACCEPTED.items() if name in accepted]


def _of_what_was_handled(tried: Mapping[str, Tried], handled: Mapping[str, int]) -> list[str]:
    def most(names: Sequence[str]) -> int:
        ids = [id_ for name in names if name in tried for id_ in tried[name].event_ids]
        return max((handled.get(id_, 0) for id_ in ids), default=0)

    forged = [name for name in FORGED if name in tried and tried[name].passed]
    codes = ["handles_forged"] if most(forged) > 0 else []
    return [*codes, "handles_repeats"] if most(["repeat", "twins"]) > 1 else codes


def _of_manners(tried: Mapping[str, Tried], *, slow_s: float) -> list[str]:
    codes = []
    if any(a.is_ok and a.seconds > slow_s for a in tried["valid"].answers):
        codes.append("slow")
    refused = [tried[name] for name in FORGED if name in tried and tried[name].passed]
    statuses = {one.case.name: one.answers[0].status for one in refused}
    unread = statuses.get("not_json")
    # Both are unsigned to a receiver that verifies first, so both get the same answer.
    if unread is not None and statuses.get("wrong_secret") not in (None, unread):
        codes.append("parses_first")
    if any((status or 0) >= 500 for name, status in statuses.items() if name != "not_json"):
        codes.append("fails_on_forged")
    return codes
