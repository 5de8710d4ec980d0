"""History: the timeline of a payment or a price, and how to find it."""
