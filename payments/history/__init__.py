"""What happened: the timeline of a payment or a price, and how it is found."""
