"""Access to PostgreSQL: engine, limits, retries, group commit and migrations."""
