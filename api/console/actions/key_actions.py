"""API keys: created, and revoked."""

from functools import partial
from typing import Any

from api.console.actions.action import Action, Doing, Done, Input
from payments.access import keys
from payments.access.scopes import OPERATE
from payments.payment_errors import InvalidRequest
from payments.transaction import Transaction

_SCOPES = (
    ("read", "Read everything of its own"),
    ("read,write", "Read and write everything of its own"),
    ("charges:write", "Charge, and nothing else"),
    ("operator", "Everything, of all producers"),
)


async def _create(doing: Doing) -> Done:
    chosen = doing.fields.get("scopes", "")
    if chosen not in dict(_SCOPES):
        raise InvalidRequest("say what the key may do", param="scopes")
    create = partial(
        keys.create, producer=doing.fields.get("producer", ""), scopes=chosen.split(",")
    )
    shown: list[str] = []

    def make(transaction: Transaction) -> dict[str, Any]:
        row, key = create(transaction)
        shown[:] = [key]
        return {"key_id": row.id}

    said = {"producer": doing.fields.get("producer", ""), "scopes": chosen}
    answer = await doing.once("key.create", said, make)
    # A form that is sent again leads to the key that it created, whose secret is not stored.
    return Done(f"/keys/{answer['key_id']}", shown[0] if shown else None)


async def _revoke(doing: Doing) -> Done:
    await doing.here.database.transaction(
        partial(keys.revoke, key_id=doing.id), acting=doing.acting
    )
    return Done(f"/keys/{doing.id}")


ACTIONS = (
    Action(
        of="keys",
        name="create",
        title="Make a key",
        permission=OPERATE,
        says="Makes an API key of a service. It is shown once, on the next page.",
        run=_create,
        inputs=(
            Input("producer", "The service that asks", "text", "Such as shop.", True),
            Input("scopes", "What it may do", "choice", "", True, _SCOPES),
        ),
        needs_object=False,
    ),
    Action(
        of="keys",
        name="revoke",
        title="Revoke",
        permission=OPERATE,
        says="Refuses this key from now on, for good. Requests with it are answered 401 at once;"
        " sessions at this console that began with it end.",
        run=_revoke,
        is_possible=lambda row: row.revoked_at is None,
        is_dangerous=True,
    ),
)
