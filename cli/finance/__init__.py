"""Commands for the books: the ledger, exports and reports."""
