"""Double entry: every move of money as postings, written in the transaction of the move.

The ledger is what the states say, seen as accounts (`chart`): a move posts the difference
between where the money stood before it and where it stands after it (`postings`).
"""
