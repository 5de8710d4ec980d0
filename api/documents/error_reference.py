"""Every code that may come back, what it means, and what to do about it."""

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import infra.billing.errors as sdk
from api.documents.markdown import NOTICE, table
from api.edge import problems
from infra.billing.contract.error_codes import CODES
from infra.billing.contract.failures import DECLINES, FAILURES
from payments import payment_errors
from payments.access import message_signatures
from payments.processors.advice import BY_CODE, VERSION
from worker import envelope

# Errors that are only what others have in common.
NEVER_RAISED: Sequence[type[Exception]] = (payment_errors.Conflict,)

# What a caller does about a charge or refund that failed, where there is something to do.
AFTER_A_FAILURE: Mapping[str, str] = {
    "card_declined": "Ask for another payment method.",
    "insufficient_funds": "Try later, or ask for another payment method.",
    "lost_card": "Ask for another payment method. Don't tell the customer why.",
    "stolen_card": "Ask for another payment method. Don't tell the customer why.",
    "expired_card": "Ask for another payment method.",
    "incorrect_cvc": "Ask the customer to enter the card again.",
    "incorrect_card_details": "Ask the customer to enter the card again.",
    "card_not_supported": "Ask for another payment method.",
    "invalid_payment_method": "See that the customer and the payment method are the processor's.",
    "invalid_request": "See the processor's own code; a repeat would be refused, too.",
    "processing_error": "Try again in a while.",
    "authentication_required": "Ask the customer to come back and confirm the payment.",
    "capture_declined": "The money is still set aside: capture less, cancel it, or charge again.",
    "refund_declined": "Look at the processor's dashboard; give the money back another way.",
    "refund_failed": "The money is yours again; give it back another way.",
    "processor_unavailable": "Try again.",
    "charge_failed": "Nothing: no money was taken.",
    "charge_not_found": "Check the charge's id and its producer; then try again.",
    "refund_exceeds_charge": "Look at the charge's refunds, and ask for what is left.",
    "nothing_to_restock": "Refund again without `restock`, or with fewer units.",
    "canceled": "Nothing: it was canceled on request.",
    "expired": "Ask the customer to start again, if it is still wanted.",
    "approval_rejected": "Ask who rejected it (`billing approval list`), or ask for less.",
    "resolved_failed": "Try again, if it is still wanted.",
}


def document() -> str:
    """docs/reference/errors.md."""
    return "\n".join(
        [
            "# Errors",
            "",
            "Every code that a request can be refused or fail with, and what to do about it.",
            "",
            NOTICE,
            "",
            (
                "Programs read `code`; people read `detail` or the message, whose wording may"
                " change. New codes may be added: treat an unknown one by its HTTP status."
            ),
            "",
            *_refusals(),
            *_failures(),
            *_of_the_sdk(),
            *_by_message(),
        ]
    )


def codes(root: type[Exception]) -> Iterator[type[Any]]:
    """The errors below `root` that say a code of their own, in the order of the source."""
    if "code" in root.__dict__ and root not in NEVER_RAISED:
        yield root
    for one in root.__subclasses__():
        # Not those of tests, nor of other modules: they are nobody's to catch.
        if one.__module__ == root.__module__:
            yield from codes(one)


def refusals() -> Iterator[type[Any]]:
    """What a request may be refused with: by every door, then over HTTP alone."""
    yield from codes(payment_errors.Refused)
    yield message_signatures.SignatureInvalid
    for one in vars(problems).values():
        if inspect.isclass(one) and one.__module__ == problems.__name__:
            yield one


def _refusals() -> Iterator[str]:
    yield "## Refused: the request was not accepted"
    yield ""
    yield (
        "Over HTTP a problem document (RFC 9457) with `code`, `detail`, `param`; by message a"
        " `request.rejected` webhook with the same three. Nothing was moved. Except where it says"
        " so, sending the same again brings the same answer."
    )
    yield ""
    yield from table(
        ("code", "HTTP", "meaning", "what to do"),
        [(f"`{one.code}`", *CODES[one.code]) for one in refusals()],
    )


def _failures() -> Iterator[str]:
    yield "## Failed: the request was accepted, and then failed"
    yield ""
    yield (
        "`failure_code` of a charge or refund whose `state` is `failed`. It stays failed: to try"
        " again, send a new request with a new key. `failure_advice` of a charge says whether that"
        f" makes sense (policy of {VERSION}); a processor may advise something else for one charge."
    )
    yield ""
    rows = [("processor", DECLINES), ("billing", FAILURES)]
    yield from table(
        ("failure_code", "decided by", "meaning", "failure_advice", "what to do"),
        [
            (f"`{code}`", who, message, _advice(code), AFTER_A_FAILURE.get(code, ""))
            for who, messages in rows
            for code, message in messages.items()
        ],
    )


def _advice(code: str) -> str:
    """What charges are advised for it by default."""
    if code not in BY_CODE:
        return ""
    one = BY_CODE[code]
    after = f" after {one.retry_after.total_seconds() / 3600:.0f} h" if one.retry_after else ""
    return f"`{one.advice}`{after}"


def _of_the_sdk() -> Iterator[str]:
    yield "## Raised by the SDK"
    yield ""
    yield "All are `billing.BillingError`, with `code` and `param`."
    yield ""
    yield from table(
        ("class", "code", "meaning"),
        [
            (f"`{one.__name__}`", f"`{one.code}`", " ".join((one.__doc__ or "").split()))
            for one in codes(sdk.BillingError)
            if one is not sdk.BillingError
        ],
    )


def _by_message() -> Iterator[str]:
    yield "## What becomes of bad messages"
    yield ""
    yield (
        "A message that is a task, but whose request is refused, becomes a row of"
        " `billing rejected list`, a `request.rejected` webhook and a FAILURE in Flower, with one"
        " of the codes of the first table. It is not tried again."
    )
    yield ""
    yield (
        "A message that is not a task is kept in quarantine (`billing quarantine list`) for one of"
        " the reasons below. No webhook reports it, since its producer can't be read. Card numbers,"
        " tracks and verification codes are masked before it is kept, in its body and its headers,"
        " also in base64 and hex; of what can't be searched (compressed or binary) only the size is"
        " kept. A masked message can't be released: its producer has to send the request again,"
        " without card data."
    )
    yield ""
    yield from (f"- {reason}" for reason in reasons())
    yield ""


def reasons() -> Sequence[str]:
    """Why a message is quarantined: the texts of every `Broken`, with … for what varies."""
    raised = (
        node.args[0]
        for node in ast.walk(ast.parse(inspect.getsource(envelope)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Broken"
    )
    texts = (text for argument in raised for text in _texts(argument))
    return sorted({text for text in texts if text.strip("… ")}, key=str.lower)


def _texts(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(_part(part) for part in parts)
        case ast.IfExp(body=yes, orelse=no):
            yield from _texts(yes)
            yield from _texts(no)


def _part(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=ast.Name(id=name)) if name.isupper():
            return str(getattr(envelope, name))
    return "…"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)
    yield ""
