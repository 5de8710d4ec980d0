"""What comes in: read, judged by today's rules, kept when it is refused."""
