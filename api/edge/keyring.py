"""The API key of a request, looked up together with those of concurrent requests."""

from collections.abc import Sequence
from functools import partial

from starlette.requests import Request

from api.batches import Batches
from api.database import Database
from api.edge.rate_limits import Limits
from models.rows import ApiKeyRow
from payments.access import keys
from payments.access.keys import Presented
from payments.access.scopes import Access
from payments.payment_errors import Unauthenticated

_SCHEME = "bearer"


class Keyring:
    """Asks the database each time: a key that was just revoked is refused."""

    def __init__(self, database: Database) -> None:
        async def read(ids: Sequence[str]) -> list[ApiKeyRow | None]:
            rows = await database.read(partial(keys.read, ids=set(ids)))
            return [rows.get(id_) for id_ in ids]

        self._rows = Batches(read)

    async def access(self, request: Request) -> Access:
        """The access of the request's key. Raises Unauthenticated, DatabaseUnavailable."""
        shown = presented(request)
        return keys.admit(await self._rows.submit(shown.id), shown)

    async def admit(self, request: Request, key: str) -> Access:
        """The access of this key, which came with the request in another way. Raises RateLimited,
        Unauthenticated, DatabaseUnavailable."""
        shown = presented(request, key)
        return keys.admit(await self._rows.submit(shown.id), shown)

    async def still(self, key_id: str) -> Access:
        """The access of the key with this id, which was presented earlier. Raises Unauthenticated
        once it is revoked, DatabaseUnavailable."""
        row = await self._rows.submit(key_id)
        if row is None:
            raise Unauthenticated
        return keys.admit(row, Presented(row.id, bytes(row.secret_sha256)))


def presented(request: Request, key: str | None = None) -> Presented:
    """The key that the request presents, in its header unless given. Raises RateLimited,
    Unauthenticated."""
    limits: Limits = request.app.state.app_state.limits
    limits.admit_address(request)
    if key is None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key if scheme.lower() == _SCHEME else ""
    shown = keys.presented(key.strip())
    if shown is None:
        raise Unauthenticated
    limits.admit_key(shown)
    return shown
