"""Double entry: every move of money as postings, written in the transaction of the move.

The ledger shows the states as accounts (`chart`): a move posts the difference between where the
money stood before and where it stands after it (`postings`).
"""
