"""The error of the contract's rules for an invalid value.

The SDK and the service each turn it into their own refusal (`InvalidRequest`).
"""


class Invalid(ValueError):
    """An invalid value; the message says what to send instead."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param
