"""Operations over HTTP that are done once per key but create no object with an id from that key."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.routes.dependencies import acting, app_state
from payments.access.scopes import Access
from payments.intake import once
from payments.transaction import Transaction


async def done(
    request: Request,
    access: Access,
    operation: str,
    key: object,
    said: Mapping[str, Any],
    do: Callable[[Transaction], dict[str, Any]],
) -> Response:
    """202 for what is done now, 200 for a repeat under its key."""

    def run(transaction: Transaction) -> once.Done:
        return once.once(
            transaction,
            operation,
            key=key,
            asked=said,
            do=lambda: do(transaction),
            access=access,
        )

    done = await app_state(request).database.transaction(
        run, acting=acting(request), idempotent=key is not None
    )
    status = 202 if done.is_new else 200
    return answers.one(done.answer, status=status, headers=told(done.is_new))


def told(is_new: bool) -> dict[str, str]:
    """The header that says that it was done before."""
    return {} if is_new else {"idempotent-replayed": "true"}
