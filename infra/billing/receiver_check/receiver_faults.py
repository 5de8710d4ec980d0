"""The faults of a receiver: one sentence for the fault, and one for the fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

PAGE = "docs/how-to/receive-webhooks.md"


class Weight(IntEnum):
    """How bad a fault is. Up to ADVICE a receiver passes."""

    ADVICE = 1  # it works, and could work better
    LOSES = 2  # webhooks come again and again, and in the end are given up
    FORGEABLE = 3  # a stranger can make it believe what is not so


@dataclass(frozen=True, slots=True)
class Fault:
    """`code` for programs; `says` and `fix` for people."""

    code: str
    weight: Weight
    says: str
    fix: str


def _fault(weight: Weight, code: str, says: str, fix: str) -> Fault:
    return Fault(code, weight, says, f"{fix} See {PAGE}.")


_VERIFY = (
    "Take the bytes of the body as they came, and let billing.webhook.verify(body, headers,"
    " secret), or any Standard Webhooks library, judge them before anything else is done; answer"
    " 400 to what it refuses."
)

FAULTS: Mapping[str, Fault] = {
    fault.code: fault
    for fault in (
        _fault(
            Weight.FORGEABLE,
            "does_not_verify",
            "You answer 2xx to webhooks that were tampered with, or signed with another secret: you"
            " do not verify signatures, so anybody can tell you that a charge succeeded.",
            _VERIFY,
        ),
        _fault(
            Weight.FORGEABLE,
            "body_not_signed",
            "You answer 2xx when the body is another than the one that was signed: your signature"
            " does not cover the body.",
            "Sign `id.timestamp.body`, with the whole body in bytes.",
        ),
        _fault(
            Weight.FORGEABLE,
            "id_not_signed",
            "You answer 2xx when webhook-id is another than the one that was signed: an old"
            " webhook can be sent again as if it were new.",
            "Sign `id.timestamp.body`: the header webhook-id is the first part.",
        ),
        _fault(
            Weight.FORGEABLE,
            "timestamp_not_signed",
            "You answer 2xx when webhook-timestamp is another than the one that was signed: an"
            " old webhook can be sent again with a new time.",
            "Sign `id.timestamp.body`: the header webhook-timestamp is the second part.",
        ),
        _fault(
            Weight.FORGEABLE,
            "signature_compared_in_part",
            "You answer 2xx to a signature of which one character is wrong: you compare a part of"
            " it.",
            "Compare all of it, in constant time: hmac.compare_digest, crypto.timingSafeEqual.",
        ),
        _fault(
            Weight.FORGEABLE,
            "unsigned_accepted",
            "You answer 2xx to a webhook without a signature: you verify only those that have one.",
            "Refuse, with 400, what lacks webhook-id, webhook-timestamp or webhook-signature.",
        ),
        _fault(
            Weight.FORGEABLE,
            "no_tolerance",
            "You answer 2xx to a webhook that was signed ten minutes ago, or will be in ten"
            " minutes: whoever records one can send it again at any time.",
            "Refuse, with 400, a webhook-timestamp that is more than 5 minutes from now, either"
            " way; and keep this machine's clock right.",
        ),
        _fault(
            Weight.FORGEABLE,
            "handles_forged",
            "You refuse a forged webhook, but its event was handled: you verify after the work.",
            _VERIFY,
        ),
        _fault(
            Weight.LOSES,
            "verifies_rewritten_json",
            "You refuse a webhook whose JSON has other spaces than you would write: you verify"
            " JSON that was parsed and written again, and not the bytes that arrived.",
            "Take the raw body: await request.body() in FastAPI, request.body in Django,"
            " request.get_data() in Flask, express.raw() in Express.",
        ),
        _fault(
            Weight.LOSES,
            "refuses_repeats",
            "You do not answer 2xx to an event that you have had: it will be sent ten times over"
            " three days. Your answer to the first may have got lost on the way.",
            "Keep the ids that you have handled, and answer 2xx to what is among them:"
            " billing.webhook.Inbox does.",
        ),
        _fault(
            Weight.LOSES,
            "refuses_older",
            "You do not answer 2xx to an event that a newer one of its object has overtaken: it"
            " will be sent again, and be older still.",
            "Answer 2xx and leave it: compare `sequence` with the highest that you have of the"
            " object.",
        ),
        _fault(
            Weight.LOSES,
            "first_signature_only",
            "You refuse a webhook of which only the second signature is yours: while a secret is"
            " replaced you would refuse everything.",
            "Split webhook-signature at spaces, and accept if any of them is right.",
        ),
        _fault(
            Weight.LOSES,
            "other_versions_refused",
            "You refuse a webhook because it has a signature of another version, too.",
            "Pass over signatures that do not begin with `v1,`.",
        ),
        _fault(
            Weight.LOSES,
            "refuses_unknown_types",
            "You do not answer 2xx to a type of event that you don't know: new ones will be sent"
            " ten times over three days.",
            "Answer 2xx to what you don't handle, or name the types that you want: billing"
            " endpoint update we_… --event TYPE.",
        ),
        _fault(
            Weight.LOSES,
            "refuses_big_bodies",
            "You do not take a body of 256 KiB.",
            "Raise the limit to 1 MiB, in each of the proxy (client_max_body_size), the server"
            " and the framework (express.raw({limit: '1mb'})).",
        ),
        _fault(
            Weight.LOSES,
            "handles_repeats",
            "You handled an event more than once that came more than once.",
            "Note its id in the transaction that handles it, and do nothing if it is there:"
            " billing.webhook.Inbox does.",
        ),
        _fault(
            Weight.ADVICE,
            "fails_on_twins",
            "Of an event that comes twice at the same moment you answer one with an error: it"
            " will be sent again, for nothing.",
            "Insert its id with ON CONFLICT DO NOTHING, and answer 2xx if it was there.",
        ),
        _fault(
            Weight.ADVICE,
            "impatient",
            "You hang up on a body that takes two seconds to arrive: so does one from a busy"
            " network.",
            "Wait for a body for 10 seconds at least.",
        ),
        _fault(
            Weight.ADVICE,
            "slow",
            "You take more than a third of the time for which an answer is waited for, which is 15"
            " seconds.",
            "Store the event, answer, and do the slow work afterwards.",
        ),
        _fault(
            Weight.ADVICE,
            "parses_first",
            "You answer otherwise to what is not JSON than to what is not signed: you read the"
            " body before you know who sent it.",
            _VERIFY,
        ),
        _fault(
            Weight.ADVICE,
            "fails_on_forged",
            "You answer a forged webhook with an error of your own (5xx): anybody can fill your"
            " log and set off your alarms.",
            "Catch what the library raises (billing.InvalidSignature), and answer 400.",
        ),
    )
}


def refuses_valid(answered: str) -> Fault:
    """Why a correct webhook was not accepted: by the status, or the word for the failure."""
    says, fix = _REFUSALS.get(answered) or _REFUSALS[_kind_of(answered)]
    return _fault(
        Weight.LOSES,
        "refuses_valid",
        f"You answer a webhook that is right with {answered}: {says}",
        fix,
    )


def _kind_of(answered: str) -> str:
    if not answered.isdigit():
        return "nothing"
    return {"3": "3xx", "4": "4xx"}.get(answered[0], "5xx")


_REFUSALS: Mapping[str, tuple[str, str]] = {
    "4xx": (
        "you have another secret, or verify other bytes than those that arrived.",
        (
            "Compare the secret with the one that billing endpoint add or rotate has shown; take"
            " the raw body; the key is what follows whsec_, decoded from base64."
        ),
    ),
    "403": (
        "you have another secret, or the framework wants a token of its own.",
        (
            "Exempt the route from CSRF protection (csrf_exempt in Django), and from any login: the"
            " signature says who it is."
        ),
    ),
    "404": ("nothing is at this path.", "Give the whole URL, with the path of the route."),
    "405": ("this path takes no POST.", "Let the route take POST."),
    "415": ("you don't take application/json.", "Let the route take application/json."),
    "422": (
        "the framework read the body by a model of its own before you verified it.",
        "Take the raw body, as in `await request.body()`, and no model as a parameter.",
    ),
    "3xx": ("redirects are not followed.", "Register the URL to which it redirects."),
    "5xx": ("your code fails.", "Look at your log; try a ping there."),
    "timeout": ("no answer within the time.", "Store the event, answer, and work afterwards."),
    "connection_refused": ("nothing listens there.", "Start the receiver, and see the port."),
    "dns_failed": ("there is no such name.", "See how the host is written."),
    "tls_error": (
        "its certificate is not valid for this name.",
        "Renew it, and send the whole chain.",
    ),
    "target_not_allowed": (
        "webhooks may not go to this address.",
        (
            "Give a public https address, or let the operator add its network to"
            " BILLING_WEBHOOK_ALLOW_PRIVATE."
        ),
    ),
    "nothing": ("no answer came.", "See whether the URL is right, and the receiver up."),
}
