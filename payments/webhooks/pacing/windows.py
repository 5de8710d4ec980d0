"""The windows of all endpoints that a process posts to; kept for the life of the process."""

from payments.webhooks.pacing.window import Window

# How many endpoints' windows are kept.
WINDOWS_MAX = 10_000


class Windows:
    """The windows of endpoints. The least recently used is dropped."""

    def __init__(self) -> None:
        self._of: dict[str, Window] = {}

    def of(self, endpoint_id: str) -> Window:
        """The window of an endpoint; a new one for an unknown endpoint."""
        window = self._of.pop(endpoint_id, None) or Window()
        self._of[endpoint_id] = window  # the last to be dropped
        if len(self._of) > WINDOWS_MAX:
            del self._of[next(iter(self._of))]
        return window
