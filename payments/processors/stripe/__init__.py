"""Stripe: charges are PaymentIntents, on Stripe's own library.

::

    processor ─► wire ─► transport      one deadline for a verb; tells whether a call was sent
        ├──────► standing               the state of a PaymentIntent or a refund
        ├──────► refusals ─► declines   the meaning of errors, as a table with its sources
        ├──────► finding                look-ups: by lists, never by search
        ├──────► ownership              ours, or another installation's on the same account
        ├──────► holds                  authorized money: capturing it, and until when
        ├──────► money                  amounts as Stripe writes them, and its limits
        ├──────► balance_lines          what moved and what it cost, line by line, and payouts
        └──────► events                 signed, and a hint only: the object is looked up
"""

from payments.processors.stripe.stripe_processor import Stripe

__all__ = ["Stripe"]
