"""Refusals on the command line name its options, and not the fields of the API."""

import typer
from typer.core import TyperCommand

from cli import make
from cli.naming import in_options
from tests.support.every import every


def command(*words: str) -> TyperCommand:
    found = typer.main.get_command(make())
    for word in words:
        found = found.commands[word]  # type: ignore[attr-defined]
    assert isinstance(found, TyperCommand)
    return found


@every(
    "words, said, told",
    [
        ("webhook replay", "send event_ids, or since and perhaps until",
         "send --event, or since and perhaps until"),
        ("charge create", "for USD 19.99 send amount=1999", "for USD 19.99 send --amount 1999"),
        ("charge create", "amount must be at least 1", "--amount must be at least 1"),
        ("charge create", "the amount of it is too large", "the amount of it is too large"),
        ("charge create", "payment_method_id looks like a card number",
         "--payment-method looks like a card number"),
        ("charge create", "send price_id and quantity in place of amount and currency",
         "send --price and quantity in place of amount and currency"),
        ("charge create", "another has this reference; use its idempotency key to repeat it",
         "another has this reference; use its idempotency key to repeat it"),
        ("refund create", "restock_quantity is how many; send restock=true, too",
         "--restock-quantity is how many; send --restock, too"),
        ("refund create", "charge_id must be an id", "CHARGE_ID must be an id"),
        ("endpoint add", "event_types: 'x' is no event type", "--event: 'x' is no event type"),
        ("endpoint rotate", "overlap_s must be from 0", "--overlap must be from 0"),
        ("endpoint update", "max_in_flight must be a whole number from 1 to 1000",
         "--max-in-flight must be a whole number from 1 to 1000"),
        ("price create", "tiers[0].unit_amount: must be a whole number; send unit_amount=1",
         "tiers[0].unit_amount: must be a whole number; send --unit-amount 1"),
        ("keys create", "scopes must be some of read", "--scope must be some of read"),
    ],
)  # fmt: skip
def test_a_refusal_names_what_was_typed(words: str, said: str, told: str) -> None:
    assert in_options(said, command(*words.split())) == told
