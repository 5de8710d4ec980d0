"""What is kept, and for how long: what leaves by its age, and what one customer may have erased."""
