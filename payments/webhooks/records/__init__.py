"""What is kept of deliveries and their attempts, and how it is read.

::

    phases        how long each part of a post took
    kept_headers  which headers of an answer are kept, and what of them
    echoes        secrets that we sent, taken out of the answer
    health        how an endpoint's last attempts went, kept in its own row
    reading       deliveries by id and as lists, each attempt with its answer
"""
