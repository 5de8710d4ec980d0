"""An action as data: its name, its permission, its inputs, and its function."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from api.app_state import AppState
from api.console.session import Session
from payments.acting import Acting, person
from payments.intake.once import once
from payments.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Input:
    """An input besides the reason. `kind` is that of the HTML input, or `choice` of `choices`."""

    name: str
    label: str
    kind: str = "text"
    help: str = ""
    is_required: bool = False
    choices: Sequence[tuple[str, str]] = ()
    value: str = ""


@dataclass(frozen=True, slots=True)
class Doing:
    """An action in progress: its actor, object, reason, and form fields. `row` is the object as it
    was a moment ago, if there is one. `key` is created with the form, so that a form that is sent
    twice is done once."""

    request: Request
    here: AppState
    session: Session
    id: str
    row: Any
    why: str
    key: str
    fields: Mapping[str, str]

    @property
    def acting(self) -> Acting:
        """The actor: the person at the console, with this reason. `account` is the key that they
        signed in with, if any, and `producer` is the key's. Raises InvalidRequest."""
        return person(
            self.session.name,
            door="console",
            account=self.session.access.key_id,
            producer=self.session.access.producer,
            why=self.why,
            request_id=self.request.state.request_id,
        )

    async def once(
        self, operation: str, said: Mapping[str, Any], do: Callable[[Transaction], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do, once per form, what creates no object with an id from the form's key. The result is
        stored, so it must contain no secret."""

        def run(transaction: Transaction) -> dict[str, Any]:
            done = once(
                transaction,
                operation,
                key=self.key,
                asked=said,
                do=lambda: do(transaction),
                access=self.session.access,
            )
            return done.answer

        return await self.here.database.transaction(run, acting=self.acting)


@dataclass(frozen=True, slots=True)
class Done:
    """The result: the page that shows it; and a secret that is shown only now."""

    path: str
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """`says` is what it will do, in a sentence or two."""

    of: str
    name: str
    title: str
    permission: str
    says: str
    run: Callable[[Doing], Awaitable[Done]]
    is_possible: Callable[[Any], bool] = lambda _: True
    inputs: Sequence[Input] = field(default=())
    needs_object: bool = True
    is_dangerous: bool = False
