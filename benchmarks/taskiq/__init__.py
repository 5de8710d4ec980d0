"""TaskIQ: the same work the way its documentation shows, in a virtual environment of its own."""
