"""Who does something, from where, and why: passed along with the transaction that does it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from infra.billing.contract.ids import is_request_id
from infra.billing.contract.words import ActorKind, Door
from payments.parsing import refuse_card_data
from payments.payment_errors import InvalidRequest

if TYPE_CHECKING:
    from payments.access.scopes import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """The actor of a transaction.

    `actor`: a person's name, the id of a key, or a producer's name. `account`: the account of the
    operating system that a command runs under, which can't be chosen; `actor` defaults to it.
    `producer`: the producer of a key or a message, or of the key that a person signed in with.
    """

    actor: str
    kind: ActorKind
    door: Door
    account: str | None = None
    producer: str | None = None
    why: str | None = None
    request_id: str | None = None

    @property
    def name(self) -> str:
        """The actor in the histories of objects: a person, or a service."""
        return self.actor if self.kind == "person" else self.producer or self.actor

    @property
    def reason(self) -> str:
        """The reason, where one is required. Raises InvalidRequest."""
        if self.why is None:
            raise InvalidRequest("say why; it stays in the history", param="why")
        return self.why


def person(
    actor: str,
    *,
    door: Literal["command", "console"] = "command",
    account: str | None = None,
    producer: str | None = None,
    why: str | None = None,
    request_id: str | None = None,
) -> Acting:
    """A person under the name that they gave. Raises InvalidRequest for a name or a reason that
    must not stay in the history."""
    for param, said in (("who", actor), ("why", why)):
        if said is None:
            continue
        if not said.strip() or "\x00" in said:
            raise InvalidRequest(
                f"{param} must be said in words; it stays in the history", param=param
            )
        refuse_card_data(param, said)
    return Acting(
        actor=actor,
        kind="person",
        door=door,
        account=account,
        producer=producer,
        why=why,
        request_id=request_id,
    )


def by_key(access: "Access", request_id: str | None) -> Acting:
    """The API key of an HTTP request."""
    return Acting(
        actor=str(access.key_id),
        kind="key",
        door="http",
        producer=access.producer,
        request_id=request_id,
    )


def by_message(producer: str, task_id: str) -> Acting:
    """The producer of this message."""
    return Acting(
        actor=producer,
        kind="producer",
        door="broker",
        producer=producer,
        request_id=task_id if is_request_id(task_id) else None,
    )


def by_itself(why: str) -> Acting:
    """The service itself, doing what a person may do, too."""
    return Acting(actor="billing", kind="billing", door="sweep", why=why)
