"""`billing erase`: personal data of one customer, or charge, is taken out; the books stay."""

from typing import TYPE_CHECKING

import typer

from cli import database_access, options, output
from cli.actor import acts, somebody

if TYPE_CHECKING:
    from payments.keeping.erasing import Found


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Personal data.")
    group.command("customer")(acts(customer))
    group.command("charge")(acts(charge))
    root.add_typer(group, name="erase")


def customer(
    customer_id: str = typer.Argument(help="The customer, as charges name them."),
    why: str = typer.Option(..., help="Why; it stays in the history of each charge."),
    producer: str | None = typer.Option(
        None,
        help="Only of what this producer asked for, and no messages in quarantine, of which nobody"
        " knows whose they are; of all producers without it.",
    ),
    yes: bool = typer.Option(False, "--yes", help="Do it. Without it, only tell what there is."),
    as_json: options.Json = False,
) -> None:
    """Take a customer's personal data out of the database.

    Amounts, states and ids stay: they are the books. Tells first what there is; with --yes, does
    it, some charges at a time. To be repeated when it was interrupted.
    """
    from payments.keeping import erasing

    acting = somebody()
    assert acting is not None, "this command acts"
    erasing.check(acting)
    with database_access.reading() as connection:
        found = erasing.look(connection, customer_id, producer=producer)
    done = erasing.Found()
    if yes:
        with (
            database_access.database() as database,
            output.progress("erasing", found.charges) as bar,
        ):
            while True:
                with database.transaction() as transaction:
                    some = erasing.erase_some(transaction, customer_id, producer=producer)
                if not some.charges:
                    break
                done += some
                bar.advance(bar.task_ids[0], some.charges)
            if producer is None:
                with database.transaction() as transaction:
                    done += erasing.erase_messages(transaction, customer_id)
    _tell(done if yes else found, producer, erased=yes, as_json=as_json)


def charge(
    charge_id: str = typer.Argument(help="The charge."),
    why: str = typer.Option(..., help="Why; it stays in the history of the charge."),
    yes: bool = typer.Option(False, "--yes", help="Do it. Without it, only tell what there is."),
    as_json: options.Json = False,
) -> None:
    """Take personal data out of one charge, its refunds and their events.

    For what came after its customer was erased: a refund's reason, say. Amounts, states and ids
    stay. Tells first what there is; with --yes, does it.
    """
    from payments.keeping import erasing

    acting = somebody()
    assert acting is not None, "this command acts"
    erasing.check(acting)
    with database_access.reading() as connection:
        there = erasing.look_at_charge(connection, charge_id)
    if yes:
        with database_access.database() as database, database.transaction() as transaction:
            there = erasing.erase_charge(transaction, charge_id)
    _tell(there, None, erased=yes, as_json=as_json)


def _tell(there: "Found", producer: str | None, *, erased: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from payments.keeping import personal

    said = {**asdict(there), "waiting": list(there.waiting)}
    if as_json:
        output.print_json({"erased": erased, **said, "stays": dict(personal.STAYS)})
    else:
        _show(said, producer, erased=erased)


def _show(counts: dict[str, object], producer: str | None, *, erased: bool) -> None:
    from payments.keeping import personal

    console = output.console()
    console.print("erased" if erased else "there is (nothing was changed; --yes erases it)")
    for name in ("charges", "refunds", "events", "answers", "messages"):
        console.print(f"  {name:<9} {counts[name]}", markup=False)
    if producer is not None:
        output.say(
            "messages in quarantine are left alone: nobody knows whose they are", head="  ! "
        )
    waiting = counts["waiting"]
    if isinstance(waiting, list) and waiting:
        output.say(f"{', '.join(waiting)}: still pending, so --yes will refuse", head="  ! ")
    console.print("\nstays, beside amounts, states and moments")
    for name, reason in personal.STAYS.items():
        output.say(reason, head=f"  {name:<21} ")
