"""The windows of all endpoints that a process posts to, which live as long as it does."""

from payments.webhooks.pacing.window import Window

# Of how many endpoints it is remembered how much they take.
WINDOWS_MAX = 10_000


class Windows:
    """What is known of how much each endpoint takes. Who was not asked for longest is forgotten."""

    def __init__(self) -> None:
        self._of: dict[str, Window] = {}

    def of(self, endpoint_id: str) -> Window:
        """The window of an endpoint; a new one for who is not known."""
        window = self._of.pop(endpoint_id, None) or Window()
        self._of[endpoint_id] = window  # the last that is forgotten
        if len(self._of) > WINDOWS_MAX:
            del self._of[next(iter(self._of))]
        return window
