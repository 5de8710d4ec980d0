"""How long each page of the console takes at ten million charges.

    python -m benchmarks.console [--charges N] [--rounds N] [--hold]

Fills a throwaway database with a year of charges, opens each page as a browser that has signed in
does, in turns, and prints what it took. With `--hold` everything stays until Enter is pressed.
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
) -> None:
    """Measure how long each page of the console takes."""
    with throwaway.servers(durable=False) as servers:
        engine = create_engine(servers.postgres.url)
        migrate.upgrade(engine)
        started = time.monotonic()
        fill(engine, charges, lambda so_far: print(f"  {so_far}", flush=True))
        print(f"filled in {time.monotonic() - started:.0f} s; {servers.postgres.url}", flush=True)
        with signed_in(engine, servers) as browser:
            for line in measured(engine, browser, rounds=rounds):
                print(line, flush=True)
        if hold:
            input("Enter ends it ")
        engine.dispose()


if __name__ == "__main__":
    typer.run(main)
