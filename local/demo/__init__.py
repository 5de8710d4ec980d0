"""The demo: a day of eight shops in a minute, on the real thing, and the sums at the end.

::

    requests.jsonl ─► scenario ─► shops ──► broker ─► worker (killed once) ─► tables, ledger
                                                                   │               ▲
                         report ◄─ checks ◄─ receiver ◄── webhooks ┘     lookout ──┘
    environment: servers, processes       script: the sequence         screen: the progress
"""
