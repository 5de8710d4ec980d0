"""The demo: a day of eight shops in a minute, on the real thing, and the sums at the end.

::

    requests.jsonl ─► scenario ─► shops ──► broker ─► worker (killed once) ─► tables, ledger
                                                                   │               ▲
                         report ◄─ checks ◄─ receiver ◄── webhooks ┘     lookout ──┘
    stage: the servers and processes      plot: what happens when      screen: what one sees
"""
