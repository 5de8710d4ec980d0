"""`billing keys`: API keys, their producers and scopes."""

import sys

import typer

from cli import database_access, options, output, tables
from cli.actor import acts

COLUMNS = ("id", "producer", "scopes", "all_producers", "created_at", "revoked_at")
NARROW = ("id", "producer", "scopes", "all_producers", "revoked_at")


def register(root: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="Keys for HTTP, for signing messages, for encryption.",
    )
    group.command("create")(acts(create))
    group.command("list")(list_)
    group.command("revoke")(acts(revoke))
    group.command("encryption")(encryption)
    group.command("development")(development)
    root.add_typer(group, name="keys")


def create(
    producer: str = typer.Argument(help="The service that asks, such as shop."),
    scope: list[str] = typer.Option(
        [],
        help="What it may do, such as charges:write or refunds:write; read and write (everything"
        " but operator) without it. May be repeated. docs/reference/scopes.md has them all.",
    ),
    all_producers: bool = typer.Option(
        False,
        "--all-producers",
        help="It sees and refunds what other producers have asked for, too.",
    ),
    signing: bool = typer.Option(
        False, "--signing", help="A key that signs messages to the broker, and does nothing else."
    ),
    as_json: options.Json = False,
) -> None:
    """Make a key. It is shown only now."""
    from payments.access import keys

    if signing and (scope or all_producers):
        raise options.Misused("--signing goes alone: such a key does nothing else")
    with database_access.writing() as transaction:
        if signing:
            row, key = keys.create_signing(transaction, producer=producer)
        else:
            row, key = keys.create(
                transaction,
                producer=producer,
                scopes=scope or keys.DEFAULT_SCOPES,
                all_producers=all_producers,
            )
    if as_json:
        output.print_json({**keys.view(row), "key": key})
        return
    sys.stdout.write(f"{key}\n")  # alone, so that a script can take it
    whose = f"{row.producer}, for all producers" if row.all_producers else row.producer
    use = (
        "give it to the SDK as BILLING_SIGNING_KEY, or sign as docs/reference/wire.md says"
        if signing
        else "give it as BILLING_API_KEY, or Authorization: Bearer …"
    )
    sys.stderr.write(
        f"the key of {whose} ({', '.join(row.scopes)}), shown now and never again: {use}\n"
    )


def list_(as_json: options.Json = False) -> None:
    """List all keys, newest first, without what is secret about them."""
    from payments.access import keys

    with database_access.reading() as connection:
        tables.show_many(
            keys.every(connection), COLUMNS, narrow=NARROW, as_json=as_json, nothing="no keys"
        )


def revoke(
    key_id: str = typer.Argument(help="key_…, as in the list, or the whole key."),
    as_json: options.Json = False,
) -> None:
    """Refuse a key from now on."""
    from payments.access import keys

    shown = keys.presented(key_id)
    with database_access.writing() as transaction:
        row = keys.revoke(transaction, shown.id if shown else key_id)
    tables.show(keys.view(row), as_json=as_json)


def encryption(as_json: options.Json = False) -> None:
    """Make a key for BILLING_ENCRYPTION_KEYS. It is shown only now, and not stored."""
    from payments.access.encryption_keys import new_key
    from payments.access.vault import Vault

    key = new_key()
    (id_,) = Vault([key]).key_ids
    if as_json:
        output.print_json({"id": id_, "key": key})
        return
    sys.stdout.write(f"{key}\n")  # alone, so that a script can take it
    sys.stderr.write(
        f"the encryption key {id_}: set BILLING_ENCRYPTION_KEYS to it for every process, or put it"
        " in front of the keys there and a comma; without the key, nothing can be decrypted\n"
    )


def development() -> None:
    """Print the key that `billing up` made for this machine."""
    from local import development_key
    from service.settings import read

    folder = read().data_dir
    key = development_key.kept(folder)
    if key is None:
        raise output.Failed(
            f"there is no key in {folder}: `billing up` makes one with a database of its own;"
            " for another, use `billing keys create`"
        )
    sys.stdout.write(f"{key}\n")
