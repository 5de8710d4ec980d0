"""What the rules of the contract raise of a value that can't be taken.

The SDK and the service each turn it into a refusal of their own (`InvalidRequest`).
"""


class Invalid(ValueError):
    """A value that can't be taken; the message says what to send instead."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param
