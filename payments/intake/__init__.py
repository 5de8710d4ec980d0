"""What comes in: parsed, checked against today's rules, kept if it is refused."""
