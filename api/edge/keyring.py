"""Who asks: the API key of a request, looked up with the keys of all that arrive beside it."""

from collections.abc import Sequence
from functools import partial

from starlette.requests import Request

from api.batches import Batches
from api.database import Database
from api.edge.limits import Limits
from models.rows import ApiKeyRow
from payments.access import keys
from payments.access.keys import Presented
from payments.access.scopes import Access
from payments.errors import Unauthenticated

_SCHEME = "bearer"


class Keyring:
    """Asks the database each time: a key that was revoked a moment ago is refused."""

    def __init__(self, database: Database) -> None:
        async def read(ids: Sequence[str]) -> list[ApiKeyRow | None]:
            rows = await database.read(partial(keys.read, ids=set(ids)))
            return [rows.get(id_) for id_ in ids]

        self._rows = Batches(read)

    async def access(self, request: Request) -> Access:
        """What the request's key may do. Raises Unauthenticated, DatabaseUnavailable."""
        shown = presented(request)
        return keys.admit(await self._rows.submit(shown.id), shown)


def presented(request: Request) -> Presented:
    """What the request shows as its key. Raises RateLimited, Unauthenticated."""
    limits: Limits = request.app.state.app_state.limits
    limits.admit_address(request)
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    shown = keys.presented(key.strip()) if scheme.lower() == _SCHEME else None
    if shown is None:
        raise Unauthenticated
    limits.admit_key(shown)
    return shown
