"""Real servers that come with the program: PostgreSQL and Redis, started and stopped by us."""
