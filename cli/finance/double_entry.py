"""`billing ledger`: what accounts come to, what was posted of one thing, and the seals."""

import typer

from cli import database_access, options, output

BALANCE = ("producer", "processor", "currency", "account", "balance", "entries")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="The ledger: every move of money, twice.")
    group.command("balance")(balance)
    group.command("show")(show)
    group.command("seals")(seals)
    group.command("fill")(fill)
    root.add_typer(group, name="ledger")


def balance(
    at: options.Moment = None,
    test: bool = typer.Option(False, "--test", help="Of test money, and not of real money."),
    as_json: options.Json = False,
) -> None:
    """Show the balance of each account at a moment, or now.

    Above zero is what there is, below zero what is owed or was paid; the sum for a currency is 0.
    """
    from payments.amounts import in_words
    from payments.ledger.balances import balances

    with database_access.reading(snapshot=True) as connection:
        found = [one.view() for one in balances(connection, at=at) if one.livemode is not test]
    if not as_json:
        for one in found:
            one["balance"] = in_words(one["balance"], one["currency"])
    nothing = "nothing was posted until then"
    if not test:
        nothing += "; --test shows test money"
    output.show_list(found, BALANCE, as_json=as_json, nothing=nothing, narrow=BALANCE[2:])


def show(id_: str = typer.Argument(metavar="ID"), as_json: options.Json = False) -> None:
    """Show what was posted of a charge, a refund or a dispute."""
    from payments.amounts import in_words
    from payments.ledger.entries import of_object

    with database_access.reading() as connection:
        found = of_object(connection, id_)
    if not as_json:
        for one in found:
            one["amount"] = in_words(one["amount"], one["currency"])
    columns = ("at", "debit", "credit", "amount", "effective_at")
    nothing = "nothing was posted of it: no money has moved"
    output.show_list(found, columns, as_json=as_json, nothing=nothing, narrow=columns[:4])


def seals(limit: options.Limit = 24, as_json: options.Json = False) -> None:
    """List the last seals, newest first.

    With a hash that was stored elsewhere you can prove later that nothing before it was changed.
    """
    from payments.ledger.entries import newest_seals

    with database_access.reading() as connection:
        found = newest_seals(connection, limit)
    columns = ("until", "postings", "hash")
    output.show_list(found, columns, as_json=as_json, nothing="nothing is sealed yet")


def fill(
    again: bool = typer.Option(
        False, "--again", help="Walk over everything, also what was walked over before."
    ),
    as_json: options.Json = False,
) -> None:
    """Post objects from before the ledger. beat does the same over time.

    With --again, also what a worker of an older version moved after the upgrade.
    """
    from payments.ledger import filling

    posted = looked_at = 0
    with database_access.database() as database:
        if again:
            with database.transaction() as transaction:
                filling.again(transaction)
        for name in filling.TABLES:
            is_last = False
            while not is_last:
                with database.transaction() as transaction:
                    page = filling.fill(transaction, name)
                is_last = page is None or page.is_last
                if page is not None:
                    posted, looked_at = posted + page.posted, looked_at + page.looked_at
    output.show({"looked at": looked_at, "posted": posted}, as_json=as_json)
