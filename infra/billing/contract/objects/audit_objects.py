"""What people and keys did, field by field."""

from typing import Annotated, Any, Literal, get_args

from infra.billing.contract.ids import AUDIT_PREFIX
from infra.billing.contract.objects.charge_objects import A_CHARGE
from infra.billing.contract.objects.object_fields import Moment, OneOf, Shown, id_pattern
from infra.billing.contract.objects.resource import Resource
from infra.billing.contract.words import ActorKind, Door

AN_ACTION = "aud_l6k2mqn3hxgkb4tq5cr7vweyz2sduoai"


class AuditEntry(Resource):
    """One action of a person or an API key, written in the transaction that did it, and never
    changed."""

    __slots__ = ()
    _shown = ("id", "action", "object_id", "created_at")

    id: Annotated[str, Shown(pattern=id_pattern(AUDIT_PREFIX), example=AN_ACTION)]
    object: Literal["audit_entry"]
    created_at: Annotated[Moment, Shown("When it was done.")]
    actor: Annotated[
        str,
        Shown(
            "Who did it: the name that a person gave, or the id of an API key; the name of a"
            " producer that sent a message; `billing`, by itself.",
            example="ann",
        ),
    ]
    actor_kind: Annotated[str, OneOf(get_args(ActorKind)), Shown("What that is.", example="person")]
    account: Annotated[
        str | None,
        Shown(
            "Of a command: the account of the operating system that it ran under, whatever name was"
            " given.",
            example="root",
        ),
    ]
    producer: Annotated[
        str | None, Shown("In whose name a key or a message asked.", example="shop")
    ]
    door: Annotated[str, OneOf(get_args(Door)), Shown("Which way it came.", example="command")]
    action: Annotated[str, Shown("What was acted on, and what was done.", example="charge.resolve")]
    object_id: Annotated[str, Shown("Which one.", example=A_CHARGE)]
    reason: Annotated[str | None, Shown("Why, if they said so.", example="settled at the bank")]
    before: Annotated[
        dict[str, Any] | None,
        Shown(
            "What it changed, as it was; null for what is new.", example={"phase": "needs_review"}
        ),
    ]
    after: Annotated[
        dict[str, Any] | None,
        Shown("The same, as it is since; null for what is gone.", example={"phase": None}),
    ]
    request_id: Annotated[
        str | None, Shown("Of the request that asked for it (`X-Request-Id`).", example="7d1f0b9c")
    ]
