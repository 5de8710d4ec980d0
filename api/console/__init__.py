"""The console at `/console`: where operators look at things, and act.

Pages are rendered here and need no script; with one, numbers refresh by themselves. Pages use the
same functions as the API and the command line, for reading and for actions. `pages/` reads,
`actions/` writes.
"""
