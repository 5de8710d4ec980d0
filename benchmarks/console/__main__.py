"""How long each page of the console takes at ten million charges.

    python -m benchmarks.console [--charges N] [--rounds N] [--hold] [--at URL]

Fills a throwaway database with a year of charges, opens each page as a browser that has signed in
does, in turns, and prints what it took. With `--hold` everything stays until Enter is pressed, and
another run `--at` the URL that is printed opens the pages there and fills nothing.
"""

import time
from typing import Annotated

import typer
from sqlalchemy import create_engine

from benchmarks.console.filling import fill
from benchmarks.console.pages import measured, signed_in
from local.embedded import throwaway
from service.database import migrate


def main(
    charges: Annotated[int, typer.Option(help="How many are there.")] = 10_000_000,
    rounds: Annotated[int, typer.Option(help="How often each page is opened.")] = 15,
    hold: Annotated[bool, typer.Option(help="Wait for Enter before the end.")] = False,
    at: Annotated[str, typer.Option(help="The URL of a database that is full already.")] = "",
) -> None:
    """Measure how long each page of the console takes."""
    with throwaway.servers(durable=False) as servers:
        url = at or servers.postgres.url
        engine = create_engine(url)
        migrate.upgrade(engine)
        started = time.monotonic()
        if not at:
            fill(engine, charges, lambda so_far: print(f"  {so_far}", flush=True))
            print(f"filled in {time.monotonic() - started:.0f} s; {url}", flush=True)
        with signed_in(engine, url, servers) as (browser, web):
            for line in measured(engine, browser, web, rounds=rounds):
                print(line, flush=True)
        if hold:
            input("Enter ends it ")
        engine.dispose()


if __name__ == "__main__":
    typer.run(main)
