"""Stripe: charges are PaymentIntents, on Stripe's own library.

::

    processor ─► wire ─► transport      one deadline for all calls of a verb; sent, or surely not
        ├──────► standing               what a PaymentIntent or a refund says
        ├──────► refusals ─► declines   what an error says, as a table with its sources
        ├──────► finding                what became of something, by lists, never by search
        ├──────► ownership              ours, or another installation's on the same account
        ├──────► holds                  money that is set aside: taking it, and until when
        ├──────► money                  amounts as Stripe writes them, and what it takes
        ├──────► balance_lines          what moved and what it cost, line by line, and payouts
        └──────► events                 signed, and a hint only: the object is looked up
"""

from payments.processors.stripe.processor import Stripe

__all__ = ["Stripe"]
