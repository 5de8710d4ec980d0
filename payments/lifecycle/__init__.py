"""The life of a charge and a refund: accept, claim, call, settle, move, sweep, report, review."""
