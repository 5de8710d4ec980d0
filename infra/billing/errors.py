"""What can go wrong when you ask for money to move.

::

    BillingError               code       what to do
    ├── InvalidRequest         invalid_request      correct it; nothing was sent
    ├── NotConfigured          not_configured       set BILLING_URL or call billing.configure
    ├── ReadingNeedsHttp       reading_needs_http   configure an http(s) url to read
    ├── Unavailable            unavailable          send it again with `error.idempotency_key`
    └── InvalidSignature       invalid_signature    answer 400 and ignore the webhook

`code` and `param` (the field that is wrong, or None) are those of the service's problem documents.
The message is the docstring unless a better one is given; it holds no value of yours but short
numbers and codes.
"""


class BillingError(Exception):
    """Something went wrong in billing."""

    code = "billing_error"

    def __init__(self, message: str | None = None, *, param: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.param = param


class InvalidRequest(BillingError):
    """The request is not valid; nothing was sent."""

    code = "invalid_request"


class NotConfigured(BillingError):
    """Set BILLING_URL, or call billing.configure(url=…), to say where requests go."""

    code = "not_configured"


class ReadingNeedsHttp(BillingError):
    """A broker takes requests but answers no questions; configure an http:// or https:// url."""

    code = "reading_needs_http"


class Unavailable(BillingError):
    """The service could not be reached in time.

    The request may have arrived all the same. Send it again with `idempotency_key`: a repeat
    under the same key never moves money twice.
    """

    code = "unavailable"

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(message or "The service could not be reached in time.", param=param)
        self.idempotency_key = idempotency_key


class InvalidSignature(BillingError):
    """The webhook was not signed with this secret, or not just now."""

    code = "invalid_signature"
