"""`billing url`: the broker's URL, for the SDK and for Celery clients."""

import sys

import typer


def register(root: typer.Typer) -> None:
    root.command()(url)


def url() -> None:
    """Print the broker's URL, with its password.

    For the SDK and Celery clients: export BILLING_URL="$(billing url)".
    """
    from service.settings import load

    # A producer needs no database, so ours may lie elsewhere, or nowhere.
    settings = load(database_url="postgresql://unused/unused")
    sys.stdout.write(f"{settings.broker_url}\n")
