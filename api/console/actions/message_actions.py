"""Messages in quarantine: released, or dismissed."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from api.console.actions.action import Action, Doing, Done
from api.console.subjects import number_of
from api.database import in_thread
from payments.access.scopes import OPERATE
from payments.intake import quarantine
from payments.intake.quarantine import KeptRequest
from payments.transaction import Transaction


async def _release(doing: Doing) -> Done:
    number = number_of(doing.id)
    to_send = await asyncio.to_thread(_sending)

    def release(transaction: Transaction) -> None:
        # Before the commit, against the rule: a message that is not sent must not count as
        # released. Sending it twice does no harm, as its id, or its key, is the same.
        in_thread(to_send(transaction, quarantine.release(transaction, number)))

    await doing.here.database.transaction(release, acting=doing.acting, idempotent=False)
    return Done(f"/quarantine/{number}")


def _sending() -> Callable[[Transaction, KeptRequest], Callable[[], Any]]:
    # Celery is only needed here in this process, and takes a while to import.
    from worker.sending_again import to_send

    return to_send


async def _dismiss(doing: Doing) -> Done:
    number = number_of(doing.id)
    dismiss = partial(quarantine.dismiss, id_=number)
    await doing.here.database.transaction(dismiss, acting=doing.acting, idempotent=False)
    return Done(f"/quarantine/{number}")


ACTIONS = (
    Action(
        of="quarantine",
        name="release",
        title="Release",
        permission=OPERATE,
        says="Puts the request back on its queue, under the id that it had. For those that a fault"
        " of ours, or a broker that gave them up, kept from being carried out.",
        run=_release,
        is_possible=lambda row: row.released_at is None,
    ),
    Action(
        of="quarantine",
        name="dismiss",
        title="Dismiss",
        permission=OPERATE,
        says="Says that this message needs nothing more. It stays, with your reason.",
        run=_dismiss,
        is_possible=lambda row: row.released_at is None,
    ),
)
