"""A second pair of eyes: what must be approved, by whom, and what happens then."""
