"""How Stripe says no: errors with a type, a code, and the status that goes with them."""

from typing import Any

from local.stripe_door.shapes import Object

DOCS = "https://docs.stripe.com/error-codes"


class Refused(Exception):
    """An answer that is an error.

    `executed` tells whether the endpoint had begun: only then is the answer kept under the key
    (docs.stripe.com/api/idempotent_requests).
    """

    def __init__(self, status: int, error: Object, *, executed: bool = False) -> None:
        super().__init__(error.get("message"))
        self.status = status
        self.error = {name: value for name, value in error.items() if value is not None}
        self.executed = executed
        if code := self.error.get("code"):
            self.error["doc_url"] = f"{DOCS}#{str(code).replace('_', '-')}"


def invalid(
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    executed: bool = False,
    **more: Any,
) -> Refused:
    """A request that makes no sense, as it stands or as things stand."""
    error = {"type": "invalid_request_error", "message": message, "param": param, "code": code}
    return Refused(400, {**error, **more}, executed=executed)


def missing(kind: str, id_: str, *, param: str, status: int = 404) -> Refused:
    """There is no such object."""
    error = {
        "type": "invalid_request_error",
        "code": "resource_missing",
        "param": param,
        "message": f"No such {kind}: '{id_}'",
    }
    return Refused(status, error, executed=True)


def card_error(code: str, message: str, **more: Any) -> Refused:
    """The bank, or Stripe, refused the card."""
    error = {"type": "card_error", "code": code, "message": message, **more}
    return Refused(402, error, executed=True)


def api_error(status: int = 500) -> Refused:
    """Something went wrong on Stripe's side. Kept under the key, as Stripe keeps them."""
    message = "An unknown error occurred"
    return Refused(status, {"type": "api_error", "message": message}, executed=True)


def unauthorized(shown_key: str | None) -> Refused:
    """No API key, or none that is known."""
    message = (
        f"Invalid API Key provided: {shown_key}"
        if shown_key
        else "You did not provide an API key. You need to provide your API key in the"
        " Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
    )
    return Refused(401, {"type": "invalid_request_error", "message": message})
