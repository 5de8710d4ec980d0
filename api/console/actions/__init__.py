"""The actions of the console.

Every action has its own page, which says what it will do and asks for a reason; it works without a
script, and with the keyboard alone. Then it calls the same function as the command line. `of` is
the list that its object belongs to, as in the object's path.
"""

from collections.abc import Mapping
from typing import Any

from api.console.actions import (
    approval_actions,
    catalog_actions,
    message_actions,
    payment_actions,
    webhook_actions,
)
from api.console.actions.action import Action
from api.console.actions.key_actions import ACTIONS as KEYS
from api.console.session import Session

ACTIONS: Mapping[tuple[str, str], Action] = {
    (one.of, one.name): one
    for one in (
        *payment_actions.ACTIONS,
        *approval_actions.ACTIONS,
        *webhook_actions.ACTIONS,
        *message_actions.ACTIONS,
        *catalog_actions.ACTIONS,
        *KEYS,
    )
}


def possible(of: str, row: Any, session: Session) -> list[Action]:
    """The actions that this person may do with this object in its present state."""
    return [
        one
        for one in ACTIONS.values()
        if one.of == of
        and one.needs_object
        and session.may(one.permission)
        and one.is_possible(row)
    ]


def of_list(of: str, session: Session) -> list[Action]:
    """The actions of this person that create an object in this list."""
    return [
        one
        for one in ACTIONS.values()
        if one.of == of and not one.needs_object and session.may(one.permission)
    ]
