"""Who does something, from where, and why: handed down with the transaction that does it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from infra.billing.contract.ids import is_request_id
from infra.billing.contract.words import ActorKind, Door
from payments.errors import InvalidRequest
from payments.parsing import refuse_card_data

if TYPE_CHECKING:
    from payments.access.scopes import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Somebody who does something.

    `actor`: a person's name, the id of a key, or a producer's name. `account`: the account of the
    operating system that a command runs under, which nobody can type; `actor` is it unless somebody
    says another name. `producer`: in whose name a key or a message asks, or whose key a person
    signed in with.
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
        """How the histories of objects call them: a person, or a service."""
        return self.actor if self.kind == "person" else self.producer or self.actor

    @property
    def reason(self) -> str:
        """Why, where a reason must be given. Raises InvalidRequest."""
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
    can't stay in the history."""
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
    """The API key that asks over HTTP."""
    return Acting(
        actor=str(access.key_id),
        kind="key",
        door="http",
        producer=access.producer,
        request_id=request_id,
    )


def by_message(producer: str, task_id: str) -> Acting:
    """A producer that asks by this message."""
    return Acting(
        actor=producer,
        kind="producer",
        door="broker",
        producer=producer,
        request_id=task_id if is_request_id(task_id) else None,
    )


def by_itself(why: str) -> Acting:
    """The service, which does by itself what a person may do, too."""
    return Acting(actor="billing", kind="billing", door="sweep", why=why)
