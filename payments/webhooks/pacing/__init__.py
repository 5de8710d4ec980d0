"""How much is sent to an endpoint, and when.

::

    window      how many posts may be under way there at once; of this process, in memory
    breaker     when it is held back, and for how long
    troubles    keeps that on its row, for all processes
    disabling   disables what is gone or failed for days, and warns of it
"""
