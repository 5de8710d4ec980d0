"""The console at `/console`: what operators look at, and where they act.

Pages are made here and need no script; where there is one, numbers refresh by themselves. What a
page shows comes from the same functions as what the API and the command line show, and what it does
goes through the same ones. `pages/` reads, `actions/` writes.
"""
