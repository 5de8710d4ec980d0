"""Every code with which a request may be refused: its HTTP status, its meaning, what to do.

Written once: the exceptions of the service and of the SDK name a code, and take the rest from here;
so does docs/reference/errors.md.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Meaning(NamedTuple):
    """The meaning of a code."""

    status: int
    sentence: str
    what_to_do: str


# A new code needs a class in `payments.payment_errors` (or, over HTTP alone, in
# `api.edge.problems`), and one in `infra.billing.errors` if callers are to catch it by name.
CODES: Mapping[str, Meaning] = {
    "invalid_request": Meaning(
        400,
        "The request is not valid.",
        "`param` names the field, `detail` says what to send instead. Nothing was written: the key"
        " is still free.",
    ),
    "unauthenticated": Meaning(
        401,
        "Send an API key that is valid: Authorization: Bearer key_…",
        "Make a key (`billing keys create`) and send it.",
    ),
    "insufficient_scope": Meaning(
        403,
        "This API key may not do this; ask for one with the scope that is needed.",
        "Use a key that has the scope.",
    ),
    "second_person_required": Meaning(
        403,
        "The person who asked for this may not approve it; somebody else must.",
        "Have somebody else approve it: another person, under another account or key.",
    ),
    "not_found": Meaning(
        404,
        "There is nothing with this id.",
        "Check the id. What was sent by message may not have been read yet: a refund of such a"
        ' charge can wait for it with `if_missing: "wait"`.',
    ),
    "idempotency_key_reused": Meaning(
        # draft-ietf-httpapi-idempotency-key-header, 2.7; 409 is for conflicts with other requests.
        422,
        "This idempotency key belongs to another request; repeat that one, or send a new key.",
        "The first request under this key stands, untouched. Was it meant to be the same one? Send"
        " it exactly as before. Is it another one? Send another key.",
    ),
    "reference_in_use": Meaning(
        409,
        "Another pending or succeeded charge has this reference.",
        "This order was charged, or is being charged. To repeat that request, use its key; for"
        " another order, use another reference.",
    ),
    "refund_exceeds_charge": Meaning(
        409,
        "The refund is more than what is left of the charge.",
        "`available` says what is left. Ask for no more than that, or leave the amount out.",
    ),
    "charge_not_refundable": Meaning(
        409,
        "This charge can't be refunded.",
        "`detail` says why: it failed, is still pending (`if_pending=reject`), or its"
        " `refunded_amount` and `refund_pending_amount` don't add up to"
        " `expected_refunded_amount`.",
    ),
    "charge_not_cancelable": Meaning(
        409,
        "This charge can't be canceled any more.",
        "`detail` says why. It has succeeded: refund it. It has failed: there is nothing to"
        " cancel. It needs review: a person decides.",
    ),
    "charge_not_capturable": Meaning(
        409,
        "Nothing can be captured of this charge now.",
        "`detail` says why: it is captured by itself, is not authorized (yet), has ended, or is"
        " being captured or canceled.",
    ),
    "capture_exceeds_charge": Meaning(
        409,
        "The capture is more than what is left of the charge.",
        "`available` says what is left. Ask for no more than that, or leave the amount out.",
    ),
    "request_expired": Meaning(
        409,
        "It came later than it was wanted (`expires`); send it again if it still is.",
        "It won't be carried out. Send it again if it is still wanted.",
    ),
    "nothing_to_restock": Meaning(
        409,
        "The charge has fewer units out than are to come back.",
        "`available` says how many units are still out. Refund without `restock`, or bring back no"
        " more than that.",
    ),
    "unexpected_amount": Meaning(
        409,
        "The price comes to another amount than was expected; nothing was charged.",
        "`amount` says what it comes to now, `expected_amount` what you sent. The lookup key has"
        " moved, or the price is another: ask for a quote, ask the customer, and send it again."
        " The key is still free.",
    ),
    "price_inactive": Meaning(
        409,
        "The price is archived: it takes no new charges.",
        "Charge by another price, or make this one active again.",
    ),
    "price_in_use": Meaning(
        409,
        "Something was charged by this price, so it can't be deleted; archive it instead.",
        "Archive it instead: what was charged by it keeps its price.",
    ),
    "price_locked": Meaning(
        409,
        "What a price costs never changes; make a new price, and archive this one.",
        "Make a new price, move the lookup key to it (`transfer_lookup_key`), and archive this"
        " one.",
    ),
    "product_inactive": Meaning(
        409,
        "The product is archived: its prices take no new charges, and it gets no new prices.",
        "Make the product active again, or use another one.",
    ),
    "product_in_use": Meaning(
        409,
        "The product has prices, so it can't be deleted; archive it instead.",
        "Archive it instead, or delete its prices first.",
    ),
    "lookup_key_in_use": Meaning(
        409,
        "Another price has this lookup key; send transfer_lookup_key=true to move it.",
        "`price_id` says which price has it. Use another key, or send `transfer_lookup_key: true`"
        " to move it.",
    ),
    "insufficient_inventory": Meaning(
        409,
        "There is less left than was asked for.",
        "`available` says how many are left. Ask for no more than that; what pending charges hold"
        " comes back if they fail.",
    ),
    "inventory_unlimited": Meaning(
        409,
        "The price has no limit, so there is nothing to count.",
        "There is nothing to count. Make a price with a `quantity_available`.",
    ),
    "events_gone": Meaning(
        410,
        "Events behind this position are not kept any more.",
        "You have missed some. Read the objects that you keep as they stand now, and go on with"
        " `after=0`, which begins with the first event that is kept (`BILLING_KEEP_EVENTS_DAYS`).",
    ),
    "endpoint_disabled": Meaning(
        409,
        "The webhook endpoint is disabled; enable it first.",
        "Enable it first.",
    ),
    "move_not_allowed": Meaning(
        409,
        "The state does not allow this.",
        "Read the object again: it has changed in the meantime.",
    ),
    "signature_invalid": Meaning(
        401,
        "The message is not signed by its producer.",
        "Only by message, where `BILLING_BROKER_SIGNATURES` is `require`, or the signature is"
        " wrong: sign it with a signing key of its producer (docs/reference/wire.md).",
    ),
    "body_too_large": Meaning(
        413,
        "The body is larger than 64 KiB; send less metadata.",
        "Send less: only metadata can be that large.",
    ),
    "headers_too_large": Meaning(
        431,
        "The headers are larger than 32 KiB.",
        "Send fewer or shorter headers.",
    ),
    "unreadable_request": Meaning(
        400,
        "This is no HTTP request that can be read.",
        "Look at the proxies in between: no HTTP client sends such requests.",
    ),
    "bad_host": Meaning(
        400,
        "A request must have exactly one header Host, with a name or address of this service.",
        "Look at the proxies in between: HTTP clients send exactly one Host.",
    ),
    "host_not_allowed": Meaning(
        421,
        "This Host is no name of this service; add it to BILLING_HTTP_HOSTS, or ask by address.",
        "Ask under a name of the service, or tell it this one: `BILLING_HTTP_HOSTS`.",
    ),
    "content_encoding_not_supported": Meaning(
        415,
        "The body must come as it is: send it without a Content-Encoding.",
        "Send the body without gzip.",
    ),
    "too_many_requests": Meaning(
        429,
        "Too many requests wait here already; send it again, with the same key, in a second.",
        "Send it again after `Retry-After` seconds, with the same key.",
    ),
    "rate_limited": Meaning(
        429,
        "You ask too often; wait as long as Retry-After says, and send it again with the same key.",
        "Send it again after `Retry-After` seconds, with the same key; ask less often. After many"
        " requests with a wrong key: send the right one, which is not limited by that.",
    ),
    "no_such_path": Meaning(
        404,
        "There is nothing at this path; see /openapi.json. Is the URL of the service right?",
        "Look at the URL: this says nothing about a charge or refund.",
    ),
    "method_not_allowed": Meaning(
        405,
        "This path does not take this method; the header Allow names those it takes.",
        "Use one of the methods of the header `Allow`.",
    ),
    "request_timeout": Meaning(
        408,
        "The body did not arrive in time; send it again with the same key.",
        "Send it again with the same key, faster.",
    ),
    "temporarily_held": Meaning(
        503,
        "Somebody else holds what this needs; send it again with the same key in a second.",
        "Send it again after `Retry-After` seconds, with the same key.",
    ),
    "event_refused": Meaning(
        400,
        "The processor's event has no valid signature, or can't be read.",
        "Compare the signing secret of the endpoint at the processor with the one in our settings,"
        " and the clocks.",
    ),
    "event_too_early": Meaning(
        409,
        "The event is about something that is not here yet; send it again later.",
        "Nothing: the processor sends it again. If it goes on for hours, the processor's account is"
        " shared with another installation.",
    ),
    "processor_silent": Meaning(
        503,
        "The processor could not be asked what its event is about; send it again later.",
        "Nothing: the processor sends it again. `billing doctor` tells if its key is wrong.",
    ),
    "database_unavailable": Meaning(
        503,
        "The database does not answer; send it again with the same key. It can't happen twice.",
        "Send it again after `Retry-After` seconds, with the same key, until it is answered: it"
        " may have been accepted.",
    ),
    "internal_error": Meaning(
        500,
        "A bug in the service. Sending it again with the same key is safe; the log names the"
        " request's id.",
        "A bug in the service. Send the request again with the same key; report it if it persists.",
    ),
}


def describe(error: type[Exception]) -> Meaning | None:
    """What stands behind the code that this class names, if it names one of these; its sentence
    becomes the class's docstring, which is the message, unless it has one of its own."""
    meaning = CODES.get(error.__dict__.get("code", ""))
    if meaning is not None and error.__doc__ is None:
        error.__doc__ = meaning.sentence
    return meaning
